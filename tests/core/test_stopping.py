"""A run that is asked to end: by signals, in this process and in real runs of the command."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from reading_wandb import logged_records
from test_end_to_end import command, contents, crescent

from crescent.core.signals import HELD_BACK, Stopped, between_steps, held_back, stoppable
from crescent.observers.summary import Summary


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_to_end_becomes_an_exception_with_the_status_of_sigterm(signum: int) -> None:
    with pytest.raises(Stopped) as stopped, stoppable():
        signal.raise_signal(signum)
    assert stopped.value.code == 143 and stopped.value.signum == signum


def test_handlers_are_put_back() -> None:
    before = [signal.getsignal(signum) for signum in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)]
    with pytest.raises(Stopped), stoppable(), between_steps():
        signal.raise_signal(signal.SIGTERM)
    assert [signal.getsignal(signum) for signum in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)] == before


def test_a_loop_with_a_handler_of_its_own_is_not_torn_from_its_step() -> None:
    heard = []
    with pytest.raises(Stopped) as stopped, stoppable(), between_steps():
        ours = signal.getsignal(signal.SIGTERM)
        assert callable(ours)
        signal.signal(signal.SIGTERM, lambda signum, frame: (heard.append(signum), ours(signum, frame)))
        signal.raise_signal(signal.SIGUSR1)
    assert heard == [signal.SIGTERM] and stopped.value.signum == signal.SIGUSR1


@pytest.mark.parametrize("name", ["step by step", "at the end"])
def test_submitit_queues_a_job_again_only_when_its_loop_has_ended(name: str) -> None:
    events: list[str] = []
    before = signal.signal(signal.SIGUSR2, lambda *_: events.append("queued again"))
    with pytest.raises(Stopped), stoppable(), between_steps():
        ours = signal.getsignal(signal.SIGTERM)
        assert callable(ours)
        signal.signal(signal.SIGTERM, lambda signum, frame: ours(signum, frame))
        signal.raise_signal(signal.SIGUSR2)
        events.append("step ends")
        if name == "step by step":
            raise Stopped
    signal.signal(signal.SIGUSR2, before)
    assert events == ["step ends", "queued again"]


BORN = """
import threading
from crescent.core.signals import on_request
asked = threading.Event()
on_request(asked)
print(asked.wait(60))
"""


@pytest.mark.parametrize("signum", HELD_BACK)
def test_a_process_born_with_signals_held_back_hears_one_that_came_before_it_could_listen(signum: int) -> None:
    with held_back():
        process = subprocess.Popen([sys.executable, "-c", BORN], stdout=subprocess.PIPE, text=True)
    process.send_signal(signum)
    assert process.communicate(timeout=60) == ("True\n", None) and process.returncode == 0


TWICE = """
import signal, sys
from crescent.core.signals import stoppable
with stoppable():
    try:
        signal.raise_signal(signal.SIGTERM)
    finally:
        print("cleaning up", flush=True)
        signal.raise_signal(int(sys.argv[1]))
        print("still cleaning up", flush=True)
"""


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_at_once(second: int) -> None:
    done = subprocess.run([sys.executable, "-c", TWICE, str(int(second))], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (128 + second, "cleaning up\n")


@pytest.mark.parametrize(("error", "status"), [(ValueError, "failed"), (Stopped, "stopped")])
def test_a_summary_says_how_its_run_ended(error: type[BaseException], status: str, tmp_path: Path) -> None:
    summary = Summary("x", 0, [], folder=tmp_path)
    with pytest.raises(error), summary.ends():
        summary.write()
        assert json.loads((tmp_path / "summary.json").read_text())["status"] == "running"
        raise error
    assert json.loads((tmp_path / "summary.json").read_text())["status"] == status


def stop_when(
    folder: Path, pattern: str, *overrides: str, signum: int = signal.SIGTERM
) -> subprocess.CompletedProcess[str]:
    """Starts a run in `folder`, sends a signal once a file that matches `pattern` is there, and waits for the end."""
    process = subprocess.Popen(
        command(*overrides), cwd=folder, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    give_up = time.monotonic() + 240
    while not any(folder.glob(pattern)) and process.poll() is None and time.monotonic() < give_up:
        time.sleep(0.02)
    process.send_signal(signum)
    _, errors = process.communicate(timeout=120)
    return subprocess.CompletedProcess(process.args, process.returncode, "", errors)


PLACES = [
    "outputs/store/work/streams/*.jsonl",
    "outputs/store/work/ledgers/*.jsonl",
    "outputs/store/work/finetune/*",
    "outputs/store/work/evaluate/*/finished.jsonl",
]


def test_sigterm_in_a_run_tells_how_to_go_on_and_marks_the_tracked_run(tmp_path: Path) -> None:
    done = stop_when(tmp_path, PLACES[1])
    line = done.stderr.splitlines()[-1]
    assert done.returncode == 143 and "Traceback" not in done.stderr
    assert line.startswith("crescent: stopped: by SIGTERM; finished work is kept; resume with: crescent num_q")
    (job,) = (tmp_path / "outputs" / "default").iterdir()
    assert json.loads((job / "summary.json").read_text())["status"] == "stopped"
    records = logged_records(job)
    assert any(r["type"] == "exit" and r["exit"]["exit_code"] == 143 for r in records)
    assert any("preempting" in r["type"] for r in records)


@pytest.mark.slow
@pytest.mark.parametrize(("signum", "status"), [(signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_a_run_ended_in_every_stage_leaves_the_bytes_of_an_undisturbed_one(
    signum: int, status: int, tmp_path: Path
) -> None:
    plain, ended = tmp_path / "plain", tmp_path / "ended"
    for folder in (plain, ended):
        folder.mkdir()
    for place in PLACES:
        assert stop_when(ended, place, "tracking=none", signum=signum).returncode == status, place
    crescent(ended, "tracking=none")
    crescent(plain, "tracking=none")
    assert contents(ended / "outputs" / "store") == contents(plain / "outputs" / "store")
    assert not list((ended / "outputs" / "store" / "work").rglob("*.jsonl"))
