"""Kills processes whose parent was killed: vLLM's own processes would otherwise survive and keep GPU memory.

In: a mark in the environment of every process to kill. Out: a `Guard`, a small process that waits on a pipe from this
one. When the pipe closes, because this process is done or was killed in whatever way, the guard kills all processes
with the mark. Run as a script, this module is the guard process; it imports only the standard library. It requires
/proc; elsewhere it does nothing.
"""

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

VARIABLE = "CRESCENT_GUARDED"


class Guard:
    """Usage: `with guard.marking(): start()`, and finally `guard.finish()`."""

    def __init__(self) -> None:
        self._mark = uuid.uuid4().hex
        command = [sys.executable, "-S", __file__, f"{VARIABLE}={self._mark}"]
        # In a session of its own: Ctrl-C, which ends this process, must not end the guard first.
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)

    @contextmanager
    def marking(self) -> Iterator[None]:
        """Marks all processes started inside, and their descendants."""
        os.environ[VARIABLE] = self._mark
        try:
            yield
        finally:
            del os.environ[VARIABLE]

    def finish(self) -> None:
        """Kills all marked processes that still run."""
        self._process.communicate()


def _wait_and_kill(mark: bytes) -> None:
    sys.stdin.buffer.read()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            marked = mark in (folder / "environ").read_bytes().split(b"\0")
            tracker = b"resource_tracker" in (folder / "cmdline").read_bytes()
            if marked and not tracker:  # multiprocessing's tracker exits by itself after removing shared memory
                os.kill(int(folder.name), signal.SIGKILL)
        except OSError:  # has exited in the meantime, or belongs to another user
            continue


if __name__ == "__main__":
    _wait_and_kill(sys.argv[1].encode())
