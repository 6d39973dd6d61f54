"""A stage that is added to the method by one line shows up wherever stages do, without being registered anywhere."""

import json
import subprocess
import sys
from pathlib import Path

import new_stage
import pytest
from reading_wandb import logged_artifacts, logged_config_and_summary

SMALL = (
    "num_questions=6", "elicit.samples_per_round=8", "elicit.max_new_tokens=160", "answer.max_new_tokens=160",
    "eval=none", "contamination=off", "oracle=none", "check=false",
)  # fmt: skip


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of a sweep of two jobs that differ in how they train, and what it printed."""
    folder = tmp_path_factory.mktemp("sweep")
    command = [sys.executable, new_stage.__file__, "-m", "train.epochs=1,2", "hydra.sweep.dir=jobs", *SMALL]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return folder / "jobs", done.stderr


def report(job: Path) -> dict:
    summary = json.loads((job / "summary.json").read_text())
    [found] = [stage for stage in summary["stages"] if stage["stage"] == "brief"]
    return found


def test_the_terminal_prints_its_counts(sweep: tuple[Path, str]) -> None:
    made = report(sweep[0] / "0")
    assert f"brief: {made['records']} records, pairs {made['records']}, longer {made['info']['longer']}" in sweep[1]


def test_the_summary_and_the_training_have_it(sweep: tuple[Path, str]) -> None:
    first, second = (report(sweep[0] / job) for job in "01")
    assert first["records"] > 0 and first["key"] == second["key"] and second["reused_records"] == second["records"]
    stages = json.loads((sweep[0] / "0" / "summary.json").read_text())["stages"]
    trained = next(stage for stage in stages if stage["stage"] == "finetune")
    assert trained["info"]["pairs"] == first["records"]


def test_wandb_has_its_counts_and_the_adapter_names_its_pairs(sweep: tuple[Path, str]) -> None:
    made = report(sweep[0] / "0")
    _, logged = logged_config_and_summary(sweep[0] / "0")
    assert logged["stage/brief/records"] == made["records"] and logged["stage/brief/longer"] == made["info"]["longer"]
    artifacts = logged_artifacts(sweep[0] / "0")
    assert artifacts["dataset"]["key"] == artifacts["model"]["pairs_key"] == made["key"]


def test_the_report_lists_it_between_vote_and_finetune(sweep: tuple[Path, str]) -> None:
    page = (sweep[0] / "0" / "report.html").read_text()
    places = [page.index(f'class="pin">{label}</th>') for label in ("Vote", "Brief", "Finetune")]
    assert places == sorted(places) and f"longer {report(sweep[0] / '0')['info']['longer']}" in page


def test_the_plan_of_a_sweep_counts_what_jobs_share_of_it(sweep: tuple[Path, str]) -> None:
    assert "1 ledger of draws, 1 brief artifact, 2 trainings" in sweep[1]
