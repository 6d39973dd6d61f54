"""The guard of processes that vLLM starts: what happens to them when their starter is killed, and when it is not."""

import io
import os
import signal
import subprocess
import sys
from types import SimpleNamespace

import psutil
import pytest

from crescent.engines import guard

STARTER = """
import subprocess, sys
from crescent.engines.guard import Guard
guard = Guard()
sleeping = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"]
with guard.marking():
    inside = subprocess.Popen(sleeping, stdout=subprocess.PIPE, start_new_session=True)
outside = subprocess.Popen(sleeping, stdout=subprocess.PIPE, start_new_session=True)
inside.stdout.readline(), outside.stdout.readline()
print(inside.pid, outside.pid, flush=True)
sys.stdin.read()
guard.finish()
"""


@pytest.mark.parametrize("ends", ["killed", "finished"])
def test_what_is_marked_ends_with_its_starter_and_nothing_else(ends: str) -> None:
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", STARTER], stdin=pipe, stdout=pipe, text=True) as starter:
        assert starter.stdout is not None and starter.stdin is not None
        inside, outside = (psutil.Process(int(pid)) for pid in starter.stdout.readline().split())
        if ends == "killed":
            starter.send_signal(signal.SIGKILL)
        starter.stdin.close()
        gone, _ = psutil.wait_procs([inside], timeout=30)
        assert gone and outside.is_running()
        outside.kill()


def test_one_that_is_gone_already_spares_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    asleep = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"]
    marked = [subprocess.Popen(asleep, env={**os.environ, guard.VARIABLE: "x"}, stdout=-1) for _ in range(2)]
    asked: list[int] = []

    def kill(pid: int, _signal: int) -> None:
        asked.append(pid)
        raise ProcessLookupError

    monkeypatch.setattr(guard.os, "kill", kill)
    monkeypatch.setattr(guard.sys, "stdin", SimpleNamespace(buffer=io.BytesIO()))
    for process in marked:
        process.stdout.readline()  # type: ignore[union-attr]
    guard._wait_and_kill(f"{guard.VARIABLE}=x".encode())
    monkeypatch.undo()
    for process in marked:
        process.kill()
        process.communicate()
    assert sorted(asked) == sorted(process.pid for process in marked)
