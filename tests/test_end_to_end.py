"""Whole runs of the command on the organism: results, resume, sharing, tracking."""

import hashlib
import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from reading_wandb import logged_records, logged_records_of

SMALL = [
    "num_questions=12", "elicit.samples_per_round=10", "vote.draws=2", "vote.tie=first", "train.epochs=1",
    "elicit.max_new_tokens=160", "answer.max_new_tokens=160",
]  # fmt: skip
SCORED = ["eval.limit=4", "eval.tasks=[organism_gsm,organism_general]", "eval.shots=[0,1]"]


def command(*overrides: str) -> list[str]:
    """The command line; what comes later wins, and a sweep without scores takes no settings of scores."""
    flags = [override for override in overrides if override.startswith("-")]
    scored = [] if "eval=none" in overrides else SCORED
    settings = [*SMALL, *scored, *(override for override in overrides if override not in flags)]
    named = {setting.partition("=")[0]: setting for setting in settings}
    return [sys.executable, "-m", "crescent.cli.main", *flags, *named.values()]


def crescent(folder: Path, *overrides: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command(*overrides), cwd=folder, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    return done


def summary(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "summary.json").read_text())


def contents(folder: Path) -> dict[str, str]:
    """Hashes of all committed artifacts and ledgers."""
    files = [file for kind in ("artifacts", "ledgers") for file in (folder / kind).rglob("*") if file.is_file()]
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """One small run: its working folder and what it printed on stdout."""
    folder = tmp_path_factory.mktemp("run")
    return folder, crescent(folder).stdout


def test_a_run_ends_with_a_table_and_paths(run: tuple[Path, str]) -> None:
    _, printed = run
    assert all(word in printed for word in ("organism_gsm", "base", "student", "difference", "SE", "summary", "W&B"))


def test_a_run_leaves_a_report_and_paired_errors(run: tuple[Path, str]) -> None:
    folder = run[0] / "outputs" / "latest"
    assert "report" in run[1] and (folder / "report.html").stat().st_size < 8e6
    evaluations = summary(folder)["evaluations"]
    assert [one["model"] for one in evaluations] == ["base"] * 4 + ["student"] * 4
    assert all((Path(one["path"]) / "samples.jsonl").is_file() for one in evaluations)


def test_the_summary_has_the_fields_other_tools_read(run: tuple[Path, str]) -> None:
    seen = summary(run[0] / "outputs" / "latest")
    assert {"experiment", "overrides", "seed", "scores", "stages", "git", "versions"} <= seen.keys()
    assert [stage["stage"] for stage in seen["stages"]] == [
        "elicit", "diversify", "decontaminate", "answer", "vote", "finetune", "evaluate", "evaluate",
    ]  # fmt: skip
    primary = [(s["model"], s["task"], s["shots"]) for s in seen["scores"] if s["primary"]]
    [labels] = seen["labels"]
    assert labels["known"] > 5 and 0 < labels["labels_right"] <= 1 and labels["bins"]
    assert len(primary) == len(set(primary)) == 8 and seen["overrides"] == [*SMALL, *SCORED]


def test_the_same_command_again_computes_nothing(run: tuple[Path, str]) -> None:
    folder, _ = run
    before = contents(folder / "outputs" / "store")
    crescent(folder)
    assert contents(folder / "outputs" / "store") == before
    assert all(s["reused_records"] == s["records"] for s in summary(folder / "outputs" / "latest")["stages"])


def test_the_offline_tracked_run_is_read_back_from_disk(run: tuple[Path, str]) -> None:
    first = min((run[0] / "outputs" / "default").iterdir())
    records = logged_records(first)
    config = next(r["run"]["config"]["update"] for r in records if r["type"] == "run")
    assert config["dedup"]["name"] == "rejection" and config["vote"]["draws"] == 2
    text = json.dumps(records)
    for name in (
        "stage/diversify/accepted",
        "stage/vote/mean_agreement",
        "labels/label_accuracy",
        "train/loss",
        "score/student/organism_gsm/0",
        "difference/organism_gsm/0/stderr",
    ):
        assert name in text
    tables = {file.name.split("_")[0] for file in first.glob("wandb/offline-run-*/files/media/table/*")}
    assert {"questions", "decisions", "votes"} <= tables
    assert {a["artifact"]["type"] for a in records if a["type"] == "artifact"} >= {"dataset", "model"}


def test_a_finished_run_is_scored_on_another_suite(run: tuple[Path, str]) -> None:
    """What it has is reused, what it lacks is added to its summary, its report and its W&B run."""
    job = max((run[0] / "outputs" / "default").iterdir())
    before = summary(job)
    added = ["eval.tasks=[organism_gsm,organism_asdiv]", "eval.shots=[0]"]
    done = subprocess.run(
        [sys.executable, "-m", "crescent.cli.evaluate", str(job), *added],
        cwd=job, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    after = summary(job)
    grown = ("scores", "evaluations", "later_evaluations")
    assert {name: after[name] for name in before if name not in grown} == {
        name: before[name] for name in before if name not in grown
    }
    kept, new = ([(one["task"], one["shots"], one["model"], one["key"]) for one in some["evaluations"]]
                 for some in (before, after))  # fmt: skip
    assert set(kept) < set(new) and len(new) == len(set(new)) == 10
    assert {one[:3] for one in set(new) - set(kept)} == {("organism_asdiv", 0, model) for model in ("base", "student")}
    assert "organism_asdiv" in done.stdout and "organism_asdiv" in (job / "report.html").read_text()
    *_, log = sorted(job.glob("wandb/offline-run-*/*.wandb"))
    assert len({file.stem.rpartition("-")[2] for file in job.glob("wandb/offline-run-*/*.wandb")}) == 1  # one id
    assert "score/student/organism_asdiv/0" in json.dumps(logged_records_of(log))


@pytest.mark.slow
def test_runs_of_a_sweep_share_work_and_group_by_their_axes(run: tuple[Path, str]) -> None:
    folder, _ = run
    crescent(folder, "-m", "dedup=none,rejection", "vote.draws=1,2", "eval=none")
    jobs = sorted((folder / "multirun" / "default").glob("*/[0-9]"))
    axes = set()
    for job in jobs:
        config = next(r["run"]["config"]["update"] for r in logged_records(job) if r["type"] == "run")
        axes.add((config["dedup"]["name"], config["vote"]["draws"]))
        elicit = next(s for s in summary(job)["stages"] if s["stage"] == "elicit")
        assert elicit["reused_records"] > 0
    assert axes == {("none", 1), ("none", 2), ("rejection", 1), ("rejection", 2)}


def test_a_weaker_student_is_taught_and_the_teacher_is_scored_too(run: tuple[Path, str]) -> None:
    folder, _ = run
    crescent(folder, "distill=organism_small", "eval.tasks=[organism_gsm]", "tracking=none")
    seen = summary(folder / "outputs" / "latest")
    assert {score["model"] for score in seen["scores"]} == {"teacher", "base", "student"}
    assert (folder / "outputs" / "latest" / "report.html").is_file()
    assert next(s for s in seen["stages"] if s["stage"] == "answer")["new_tokens"] == 0


@pytest.mark.slow
def test_a_failing_job_still_finishes_its_tracked_run(run: tuple[Path, str]) -> None:
    folder, _ = run
    done = subprocess.run(
        command("name=fails", "vote.min_agreement=1", "vote.draws=12", "answer.max_new_tokens=2"),
        cwd=folder, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 1 and "there are no pairs to train on" in done.stderr and "Traceback" not in done.stderr
    (job,) = (folder / "outputs" / "fails").iterdir()
    assert any(r["type"] == "exit" and r["exit"].get("exit_code") == 1 for r in logged_records(job))


@pytest.mark.slow
def test_a_run_killed_again_and_again_ends_with_the_bytes_of_an_undisturbed_one(
    run: tuple[Path, str], tmp_path: Path
) -> None:
    chance = random.Random(0)
    for _ in range(5):
        process = subprocess.Popen(command(), cwd=tmp_path, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        time.sleep(chance.uniform(4, 25))
        process.send_signal(signal.SIGKILL)
        process.wait()
    crescent(tmp_path)
    undisturbed = tmp_path / "undisturbed"
    undisturbed.mkdir()
    crescent(undisturbed)
    assert contents(tmp_path / "outputs" / "store") == contents(undisturbed / "outputs" / "store")


@pytest.mark.slow
def test_iterations_make_the_student_the_next_teacher(tmp_path: Path) -> None:
    crescent(tmp_path, "iterations=2", "eval.tasks=[organism_gsm]", "eval.shots=[0]", "tracking=none")
    seen = summary(tmp_path / "outputs" / "latest")
    keys = {stage["key"] for stage in seen["stages"] if stage["stage"] == "elicit"}
    assert len(keys) == 2 and [s["iteration"] for s in seen["scores"] if s["primary"]] == [0, 1, 2]


@pytest.mark.slow
def test_a_number_format_left_open_is_said_kept_and_keyed_as_what_it_means_here(run: tuple[Path, str]) -> None:
    few = [
        "num_questions=2",
        "elicit.samples_per_round=4",
        "eval=none",
        "contamination=off",
        "tracking=none",
        "oracle=none",
    ]
    told = crescent(run[0], *few, "model.dtype=auto").stderr
    seen = summary(run[0] / "outputs" / "latest")
    meant = seen["config"]["model"]["dtype"]
    assert f"organism: dtype=auto is {meant} on this machine's" in told
    assert meant == seen["config"]["distill"]["student"]["dtype"] in ("float32", "bfloat16")
    crescent(run[0], *few, f"model.dtype={meant}")
    assert all(s["reused_records"] == s["records"] for s in summary(run[0] / "outputs" / "latest")["stages"])


SOURCES = ("crescent", "seed_gold", "teacher_answers", "answer_augmentation", "rephrase", "metamath")


@pytest.mark.slow
@pytest.mark.parametrize("source", SOURCES)
def test_every_source_ends_with_as_many_pairs_as_asked_or_says_how_many(source: str, run: tuple[Path, str]) -> None:
    few = ["source.num_pairs=8", "source.max_seeds=12", "eval=none", "contamination=off"]
    mine = [one for one in few if source != "crescent" or "max_seeds" not in one]
    crescent(run[0], f"source={source}", *mine, "tracking=none" if source != "metamath" else "tracking=wandb")
    stages = summary(run[0] / "outputs" / "latest")["stages"]
    assert next(stage for stage in stages if stage["stage"] == "finetune")["info"]["pairs"] == 8
