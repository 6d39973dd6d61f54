"""Which processes use a store, so that nothing is deleted under them.

In: the root of a store. A run holds a lock file of its own in `locks/runs/` while it is at work; the operating system
releases it when the process ends, however that happens. Nothing is deleted while a run is at work, and a run that
starts while something is being deleted waits until that is over.
"""

import logging
import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

log = logging.getLogger(__name__)


@contextmanager
def in_use(root: Path) -> Iterator[None]:
    """Inside, the store counts as in use."""
    folder = root / "locks" / "runs"
    folder.mkdir(parents=True, exist_ok=True)
    host = re.sub(r"[^\w.-]", "_", socket.gethostname())
    mine = FileLock(folder / f"{host}-{os.getpid()}-{time.time_ns()}.lock")
    deleting = _deleting(root)
    try:
        deleting.acquire(timeout=1)
    except Timeout:
        log.info("crescent-store is deleting unused results in %s; waiting for it", root)
        deleting.acquire()
    try:
        mine.acquire()
    finally:
        deleting.release()
    try:
        yield
    finally:
        Path(mine.lock_file).unlink(missing_ok=True)
        mine.release()


@contextmanager
def exclusively(root: Path) -> Iterator[list[str]]:
    """Inside, no run starts. Yields the runs at work ("process 4711 on node3"); with any, nothing may be deleted."""
    (root / "locks").mkdir(parents=True, exist_ok=True)
    with _deleting(root):
        yield users(root)


def users(root: Path) -> list[str]:
    """The runs at work in a store; removes the lock files of those that have ended."""
    found = []
    for path in sorted((root / "locks" / "runs").glob("*.lock")):
        lock = FileLock(path)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            host, process, _ = path.stem.rsplit("-", 2)
            found.append(f"process {process} on {host}")
        else:
            path.unlink(missing_ok=True)
            lock.release()
    return found


def _deleting(root: Path) -> FileLock:
    return FileLock(root / "locks" / "deleting.lock")
