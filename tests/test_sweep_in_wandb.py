"""A real sweep of six runs, as W&B has it: read back from the offline files by W&B's own reader."""

import json
import statistics
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from command_line import crescent
from reading_wandb import (
    logged_artifacts,
    logged_config_and_summary,
    logged_history,
    logged_records,
    logged_tables,
)

SWEEP = (
    "-m", "vote.draws=1,5", "seed=0,1,2", "num_questions=20", "elicit.samples_per_round=20", "train.epochs=1",
    "source.num_pairs=10", "eval.tasks=[organism_gsm]", "eval.shots=[0]", "eval.limit=40",
)  # fmt: skip
SCORE = "score/student/organism_gsm/0"
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    folder = tmp_path_factory.mktemp("sweep")
    done = crescent(folder, *SWEEP)
    assert done.returncode == 0, done.stderr
    return folder, done


@pytest.fixture(scope="module")
def jobs(sweep: tuple[Path, Any]) -> list[Path]:
    return sorted((sweep[0] / "multirun" / "default").glob("*/[0-9]"))


def grouped(jobs: list[Path], axis: str) -> dict[Any, list[float]]:
    """Scores as W&B's runs table groups them by `config.<axis>`."""
    groups: dict[Any, list[float]] = defaultdict(list)
    for job in jobs:
        config, summary = logged_config_and_summary(job)
        for part in axis.split("."):
            config = config[part]
        groups[config].append(summary[SCORE])
    return dict(groups)


def test_runs_group_by_the_axis_as_in_the_comparison(sweep: tuple[Path, Any], jobs: list[Path]) -> None:
    assert len(jobs) == 6
    groups = grouped(jobs, "vote.draws")
    assert {draws: len(scores) for draws, scores in groups.items()} == {1: 3, 5: 3}
    for job in jobs:
        stated = json.loads((job / "summary.json").read_text())["scores"]
        (own,) = [one["value"] for one in stated if one["primary"] and one["model"] == "student"]
        assert logged_config_and_summary(job)[1][SCORE] == own
    assert all(0 <= statistics.mean(scores) <= 1 for scores in groups.values())


def test_metrics_have_steps_and_summaries_and_their_units_are_in_a_table(jobs: list[Path]) -> None:
    defined = {
        record["metric"].get("name") or record["metric"].get("glob_name"): record["metric"]
        for record in logged_records(jobs[0])
        if record["type"] == "metric"
    }
    assert defined["train/loss"]["step_metric"] == "train/step"
    assert {"train/step", "score/*", "iteration/*", "stage/*"} <= defined.keys()
    tables = {name: (columns, rows) for name, columns, rows in logged_tables(jobs[0])}
    columns, rows = tables["metrics"]
    assert columns[:2] == ["metric", "unit"] and ["train/loss", "nats per target token"] in [row[:2] for row in rows]


def test_curves_of_training_run_over_their_own_steps(jobs: list[Path]) -> None:
    steps = [one for one in logged_history(jobs[0]) if "train/loss" in json.dumps(one)]
    assert len(steps) == 1  # ten pairs, one epoch, batches of 32


def test_tables_of_different_runs_are_joined_by_question(jobs: list[Path]) -> None:
    of_seed: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for job in jobs:
        found = {name: (columns, rows) for name, columns, rows in logged_tables(job)}
        assert {"questions", "decisions", "votes", "pairs"} <= found.keys()
        assert all("question_id" in columns for name, (columns, _) in found.items() if name not in ("metrics",)
                   and not name.startswith("labels"))  # fmt: skip
        columns, rows = found["votes"]
        at = columns.index("question_id")
        of_seed[logged_config_and_summary(job)[0]["seed"]].append({row[at]: row for row in rows})
    for one, other in of_seed.values():  # one and five draws vote on the same questions
        assert one.keys() == other.keys() and len(one) == 20


def test_the_adapter_comes_from_the_pairs_it_was_trained_on(jobs: list[Path]) -> None:
    for job in jobs:
        made = logged_artifacts(job)
        assert made["dataset"]["pairs"] == 10 and made["model"]["pairs_key"] == made["dataset"]["key"]


def test_the_sweep_ends_with_one_line_that_uploads_all_its_runs(sweep: tuple[Path, Any], jobs: list[Path]) -> None:
    folder, done = sweep
    (line,) = [line for line in done.stderr.splitlines() if "upload to W&B:" in line]
    pattern = line.partition("wandb sync ")[2]
    listed = subprocess.run(f"ls -d {pattern}", shell=True, cwd=folder, capture_output=True, text=True)
    assert len(listed.stdout.split()) == len(jobs)
