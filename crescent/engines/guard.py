"""Ends processes whose starter was killed: vLLM's own outlive it otherwise, and hold on to a GPU's memory.

In: a mark that every process to end carries in its environment. Out: a `Guard`, a small process that waits on a pipe
from this one. When the pipe closes, because this process is done or because it is gone, whatever killed it, the guard
kills what carries the mark. Run as a script it is that process; it imports nothing but the standard library. It works
where there is a /proc; elsewhere it guards nothing.
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
    """`with guard.marking(): start()`, and in the end `guard.finish()`."""

    def __init__(self) -> None:
        self._mark = uuid.uuid4().hex
        command = [sys.executable, "-S", __file__, f"{VARIABLE}={self._mark}"]
        # A session of its own: Ctrl-C, which ends this process, must not end its guard first.
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)

    @contextmanager
    def marking(self) -> Iterator[None]:
        """Processes started inside carry the mark, and so do those that they start."""
        os.environ[VARIABLE] = self._mark
        try:
            yield
        finally:
            del os.environ[VARIABLE]

    def finish(self) -> None:
        """Ends what is still there of the marked processes, now."""
        self._process.communicate()


def _wait_and_kill(mark: bytes) -> None:
    sys.stdin.buffer.read()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            marked = mark in (folder / "environ").read_bytes().split(b"\0")
            tracker = b"resource_tracker" in (folder / "cmdline").read_bytes()
            if marked and not tracker:  # multiprocessing's tracker ends by itself, after it has removed shared memory
                os.kill(int(folder.name), signal.SIGKILL)
        except OSError:  # gone, perhaps since it was looked at; or another user's
            continue


if __name__ == "__main__":
    _wait_and_kill(sys.argv[1].encode())
