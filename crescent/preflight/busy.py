"""Whether other processes need the cores that this one computes on, and what is done about it.

In: two looks at the processor's counters. Out: how many cores others kept busy in between, and a warning.
"""

import os
import time
from dataclasses import dataclass
from typing import Any

import psutil

from crescent.core.console import counted

BUSY = 0.5  # cores of other processes, beyond those that are free, from which a run is slowed down noticeably


@dataclass(frozen=True, slots=True)
class Look:
    """Seconds since some moment: on the clock, of all processes on our cores, of this process."""

    clock: float
    all_processes: float
    this_process: float

    @classmethod
    def now(cls) -> "Look":
        """Reads the counters."""
        times = psutil.cpu_times(percpu=True)
        busy = sum(_busy(times[core]) for core in _cores() if core < len(times))
        return cls(time.monotonic(), busy, time.process_time())

    def others_since(self, before: "Look") -> float:
        """Cores that other processes kept busy, on average."""
        seconds = max(1e-3, self.clock - before.clock)
        taken = self.all_processes - before.all_processes - (self.this_process - before.this_process)
        return max(0.0, taken / seconds)


def wait_passively() -> None:
    """Lets OpenMP threads sleep while they wait, if the machine is busy. To be called before torch is loaded.

    By default they spin, which is faster on idle cores, and slows all processes down when there are fewer cores than
    threads: beside one other process, two threads on two cores decoded 60 tokens/s spinning and 5,000 sleeping.
    """
    chosen = os.environ.keys() & {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"}
    if not chosen and hasattr(os, "getloadavg") and _is_crowded(os.getloadavg()[0]):
        os.environ["OMP_WAIT_POLICY"] = "passive"


def warning(others: float) -> str | None:
    """What to say where `others` cores are taken by other processes; None where there are enough for all."""
    if not _is_crowded(others):
        return None
    cores, threads = len(_cores()), _threads()
    fewer = ", or start both with fewer threads (OMP_NUM_THREADS=1)" if threads > 1 else ""
    return (
        f"other processes keep {others:.1f} of {counted(cores, 'core')} busy, and this run computes with "
        f"{counted(threads, 'thread')}: threads that wait for a core can slow all of them down tenfold. Let the others "
        f"end first{fewer}"
    )


def _is_crowded(others: float) -> bool:
    """Whether this process's threads and `others` need more cores than there are."""
    return others + _threads() > len(_cores()) + BUSY


def _busy(times: Any) -> float:
    return times.user + times.system + getattr(times, "nice", 0.0)


def _threads() -> int:
    """Threads that torch computes with: it is not asked, because a run that reuses its artifacts does not load it."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return int(asked) if asked.isdigit() and int(asked) else min(psutil.cpu_count(logical=False) or 1, len(_cores()))


def _cores() -> list[int]:
    """The cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))
