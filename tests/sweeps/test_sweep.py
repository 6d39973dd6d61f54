"""Sweeps: a plan first, a status for each job, failures that stop no other job and are named at the end."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from processes import children, commands
from test_end_to_end import command, contents, summary

from crescent.config.resolvers import assets, register_resolvers

PLAIN = ("eval=none", "tracking=none")
LAUNCHERS = {
    "joblib": ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2"),
    "submitit": ("hydra/launcher=submitit_local",),
}


def sweep(folder: Path, *overrides: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command("-m", *PLAIN, *overrides), cwd=folder, capture_output=True, text=True, timeout=500)


def jobs(folder: Path) -> list[Path]:
    """The folders of the newest sweep's jobs."""
    newest = max((folder / "multirun" / "default").iterdir())
    return sorted(newest.glob("[0-9]*"), key=lambda job: int(job.name))


def statuses(folder: Path) -> list[str]:
    return [json.loads((job / "status.json").read_text())["state"] for job in jobs(folder)]


def test_the_slurm_preset_asks_for_a_gpu_and_queues_jobs_again() -> None:
    register_resolvers()
    with initialize_config_dir(str(assets() / "conf"), version_base="1.3"):
        config = compose("config", overrides=["hydra/launcher=slurm"], return_hydra_config=True)
    launcher = config.hydra.launcher
    assert launcher._target_.endswith("SlurmLauncher") and launcher.max_num_timeout == 100
    assert launcher.gpus_per_node == 1


def test_every_failed_job_is_named_at_the_end_with_a_fix(tmp_path: Path) -> None:
    done = sweep(tmp_path, "model.path=/no/a,/no/b")
    assert done.returncode == 1 and "Traceback" not in done.stderr and statuses(tmp_path) == ["failed", "failed"]
    assert "2 jobs, launcher BasicLauncher" in done.stderr and "Sweep: 2 failed" in done.stderr
    assert "shared: 2 jobs have 2 streams of questions, 2 pools" in done.stderr
    for job, path in enumerate(("/no/a", "/no/b")):
        assert f"model.path={path}  config: model.path: there is no folder {path}" in done.stderr
        assert f"job {job} failed in " in done.stderr and f"; {job + 1} of 2 done" in done.stderr
    assert "finished work is reused: crescent -m" in done.stderr


def test_a_job_with_an_impossible_value_stops_the_sweep_before_the_first(tmp_path: Path) -> None:
    done = sweep(tmp_path, "vote.draws=1,0")
    assert done.returncode == 2 and not list(tmp_path.iterdir())
    assert done.stderr == "crescent: config: job 1 (vote.draws=0): vote.draws is 0; it must be at least 1\n"


def test_a_sweep_that_does_not_compose_is_a_mistake_of_one_line(tmp_path: Path) -> None:
    done = sweep(tmp_path, "vote.drws=1,2")
    assert done.returncode == 2 and "vote.drws is not a setting. Did you mean vote.draws?" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_jobs_at_once_share_a_store_and_build_each_thing_once(launcher: str, tmp_path: Path) -> None:
    done = sweep(tmp_path, *LAUNCHERS[launcher], "train.max_length=1024,512,2")  # at 2 no prompt fits
    assert done.returncode == 1 and statuses(tmp_path) == ["finished", "finished", "failed"], done.stderr
    store = tmp_path / "outputs" / "store"
    elicited = [s for job in jobs(tmp_path) for s in summary(job)["stages"] if s["stage"] == "elicit"]
    rounds = len(list((store / "artifacts" / "elicit").iterdir()))
    assert sum(stage["records"] - stage["reused_records"] for stage in elicited) == 10 * rounds
    drawn = [line for ledger in (store / "ledgers").glob("*/rows.jsonl") for line in ledger.read_text().splitlines()]
    names = [(row["question_id"], row["draw"]) for row in map(json.loads, drawn)]
    assert len(names) == len(set(names)) == 24
    before = contents(store)
    again = sweep(tmp_path, *LAUNCHERS[launcher], "train.max_length=1024,512")
    assert again.returncode == 0 and again.stderr.count("(all from the store)") == 2 and contents(store) == before


@pytest.mark.slow
def test_a_job_that_a_cluster_queues_again_goes_on(tmp_path: Path) -> None:
    overrides = command("-m", *PLAIN, *LAUNCHERS["submitit"], "vote.draws=1,2")
    running = subprocess.Popen(overrides, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    work = tmp_path / "outputs" / "store" / "work"
    while not list(work.glob("*/*.jsonl")) and running.poll() is None:
        time.sleep(0.05)
    tasks = [pid for pid, text in commands(children(running.pid)).items() if "submitit.core._submit" in text]
    for pid in tasks:
        os.kill(pid, signal.SIGUSR2)  # what submitit asks Slurm for, some minutes before a job's time is up
    _, errors = running.communicate(timeout=400)
    assert running.returncode == 0 and statuses(tmp_path) == ["finished", "finished"], errors
    logs = [log.read_text() for log in tmp_path.glob("multirun/*/*/.submitit/*/*log.*")]
    assert len(tasks) == 2 and sum("Requeued job" in log for log in logs) >= 1
