"""Real runs: what is left after pruning is what a kept run reuses, and a run at work is safe."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from crescent.core.use import users

SMALL = (
    "num_questions=8", "elicit.samples_per_round=8", "elicit.max_new_tokens=160", "answer.max_new_tokens=160",
    "train.epochs=1", "eval.tasks=[organism_gsm]", "eval.shots=[0]", "eval.limit=4", "oracle=none", "tracking=none",
    "check=false", "dedup.min_cosine=0.6", "select=diverse",
)  # fmt: skip


def command(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", f"crescent.cli.{module}", *arguments]


def done(folder: Path, module: str, *arguments: str) -> str:
    made = subprocess.run(command(module, *arguments), cwd=folder, capture_output=True, text=True, timeout=500)
    assert made.returncode == 0, made.stderr
    return made.stdout


@pytest.mark.slow
def test_a_kept_run_reuses_everything_after_pruning_and_the_other_is_gone(tmp_path: Path) -> None:
    for seed in (1, 2):
        done(tmp_path, "main", *SMALL, f"seed={seed}", f"hydra.run.dir=outputs/{seed}")
    told = done(tmp_path, "store", "prune", "--keep-runs", "outputs/1", "--yes")
    assert "finetune" in told and "evaluate" in told and "elicit" in told
    done(tmp_path, "main", *SMALL, "seed=1", "hydra.run.dir=outputs/again")
    summary = json.loads((tmp_path / "outputs" / "again" / "summary.json").read_text())
    assert all(stage["new_tokens"] == 0 for stage in summary["stages"])
    assert all(stage["reused_records"] == stage["records"] for stage in summary["stages"])
    assert "0 items" in done(tmp_path, "store", "prune", "--keep-runs", "outputs/1")


@pytest.mark.slow
def test_nothing_is_deleted_under_a_run_at_work(tmp_path: Path) -> None:
    done(tmp_path, "main", *SMALL, "seed=1", "hydra.run.dir=outputs/1")
    other = subprocess.Popen(
        command("main", *SMALL, "seed=2", "num_questions=60", "hydra.run.dir=b/2"), cwd=tmp_path,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        while not users(tmp_path / "outputs" / "store"):
            assert other.poll() is None
            time.sleep(0.1)
        refused = subprocess.run(
            command("store", "prune", "--keep-runs", "outputs", "--yes"), cwd=tmp_path, capture_output=True, text=True
        )
        assert refused.returncode == 1 and f"in use by a run (process {other.pid} on" in refused.stderr
        assert other.wait(timeout=500) == 0
    finally:
        other.kill()
    assert "0 items" in done(tmp_path, "store", "prune", "--keep-runs", "outputs", "b").splitlines()[-1]
