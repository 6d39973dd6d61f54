"""A machine that others keep busy is named once, before a run."""

import os
import subprocess
import sys
import time

import psutil
import pytest

from crescent.preflight.busy import Look, wait_passively, warning

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def test_what_other_processes_compute_is_seen_and_what_this_one_does_is_not() -> None:
    before = Look.now()
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as other:
        while sum(psutil.Process(other.pid).cpu_times()[:2]) < 0.5 and time.monotonic() < before.clock + 60:
            pass
        taken = psutil.Process(other.pid).cpu_times()
        after = Look.now()
        other.kill()
    seconds = after.clock - before.clock
    assert after.others_since(before) >= 0.7 * (taken.user + taken.system) / seconds > 0
    assert after.others_since(before) <= CORES - 0.5 * (after.this_process - before.this_process) / seconds


def test_a_machine_with_room_is_not_mentioned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert warning(others=0.0) is None


def test_a_busy_machine_is_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", str(CORES))
    told = warning(others=0.9 * CORES)
    assert told is not None and told.startswith(f"other processes keep {0.9 * CORES:.1f} of {CORES} core")
    assert ("OMP_NUM_THREADS=1" in told) == (CORES > 1)


def test_threads_sleep_while_they_wait_only_on_a_busy_machine_and_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("crescent.preflight.busy._cores", lambda: [0, 1, 2, 3])
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.setattr(os, "getloadavg", lambda: (2.0, 0.0, 0.0))  # two cores are left for two threads
    wait_passively()
    assert "OMP_WAIT_POLICY" not in os.environ
    monkeypatch.setattr(os, "getloadavg", lambda: (3.0, 0.0, 0.0))
    monkeypatch.setenv("GOMP_SPINCOUNT", "100")
    wait_passively()
    assert "OMP_WAIT_POLICY" not in os.environ
    monkeypatch.delenv("GOMP_SPINCOUNT")
    monkeypatch.setenv("OMP_WAIT_POLICY", "x")  # restored after the test
    del os.environ["OMP_WAIT_POLICY"]
    wait_passively()
    assert os.environ["OMP_WAIT_POLICY"] == "passive"
