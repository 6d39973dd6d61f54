"""The guard of processes that vLLM starts: what happens to them when their starter is killed, and when it is not."""

import signal
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

STARTER = """
import subprocess, sys, time
from crescent.engines.guard import Guard
guard = Guard()
sleeping = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"]
with guard.marking():
    inside = subprocess.Popen(sleeping, stdout=-1, start_new_session=True)
outside = subprocess.Popen(sleeping, stdout=-1, start_new_session=True)
inside.stdout.readline(), outside.stdout.readline()
if sys.argv[1] == "release":
    guard.release()
print(inside.pid, outside.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture(params=["kill", "release"])
def killed(request: pytest.FixtureRequest) -> Iterator[tuple[str, psutil.Process, psutil.Process]]:
    """What the starter did before it was killed, and the processes that it started with and without the mark."""
    with subprocess.Popen([sys.executable, "-c", STARTER, request.param], stdout=-1, text=True) as starter:
        assert starter.stdout is not None
        inside, outside = (psutil.Process(int(pid)) for pid in starter.stdout.readline().split())
        starter.send_signal(signal.SIGKILL)
    yield request.param, inside, outside
    for process in (inside, outside):
        if process.is_running():
            process.kill()


def test_what_is_marked_ends_with_a_starter_that_was_killed_unless_it_was_released(
    killed: tuple[str, psutil.Process, psutil.Process],
) -> None:
    did, inside, outside = killed
    gone, _ = psutil.wait_procs([inside], timeout=20 if did == "kill" else 2)
    assert (inside in gone) == (did == "kill") and outside.is_running()
