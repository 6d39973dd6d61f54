"""The guard of processes that vLLM starts: what happens to them when their starter is killed, and when it is not."""

import signal
import subprocess
import sys

import psutil
import pytest

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
