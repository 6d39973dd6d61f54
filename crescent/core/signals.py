"""Clean shutdown when a cluster or a person asks a run to end.

SIGTERM (pre-emption, `kill`, `docker stop`) and SIGUSR1 (the warning that Slurm's `--signal` sends) raise `Stopped` in
the main thread, like a KeyboardInterrupt: files are closed, and the tracked run is finished. Everything computed is
already on disk. A second signal ends the process at once.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

ASKING = (signal.SIGTERM, signal.SIGUSR1)
HELD_BACK = (*ASKING, signal.SIGUSR2)
"""Slurm sends its warning to every process of a job; submitit requests SIGUSR2."""
STATUS = 128 + signal.SIGTERM  # exit status of a process that was asked to end


class Stopped(SystemExit):
    """A signal asked the run to end. A SystemExit, so that event loops and libraries do not swallow it."""

    def __init__(self, signum: int = signal.SIGTERM) -> None:
        super().__init__(STATUS)
        self.signum = signum


@contextmanager
def stoppable() -> Iterator[None]:
    """Inside, the first stop signal raises `Stopped` or KeyboardInterrupt; the second ends the process."""

    def interrupt(signum: int, frame: FrameType | None) -> None:
        _arm()
        signal.default_int_handler(signum, frame)

    ends: dict[int, Any] = dict.fromkeys(ASKING, _stop)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # a shell may have set it to be ignored
        ends[signal.SIGINT] = interrupt
    with _handlers(ends):
        yield


@contextmanager
def between_steps() -> Iterator[None]:
    """Leaves SIGTERM to a loop that has its own handler and ends between two steps; other stop signals become SIGTERM.

    Before the loop installs its handler and after it removes it, the run is stopped as elsewhere. A callable SIGUSR2
    handler is submitit's, which requeues the job and exits: it is called after the loop has ended. `Stopped` names the
    signal that arrived, not the SIGTERM it was turned into.
    """
    noted, came = False, list[int]()

    def note(signum: int, frame: FrameType | None) -> None:
        nonlocal noted
        came.append(signum)
        if signal.getsignal(signal.SIGTERM) is note:
            _stop(signum, frame)
        noted = True
        _arm()

    def pass_on(signum: int, _frame: FrameType | None) -> None:
        came.append(signum)
        signal.raise_signal(signal.SIGTERM)

    interrupt = signal.getsignal(signal.SIGINT) or signal.SIG_DFL
    submitit = signal.getsignal(signal.SIGUSR2)
    asking: dict[int, Any] = {signal.SIGTERM: note, signal.SIGUSR1: pass_on, signal.SIGINT: interrupt}
    if callable(submitit):
        asking[signal.SIGUSR2] = pass_on
    try:
        with _handlers(asking):
            yield
        if noted:  # the signal came too late for the loop to end between two steps
            raise Stopped
    except Stopped as stopped:
        if came:
            stopped.signum = came[0]
        raise
    finally:
        if noted and signal.getsignal(signal.SIGTERM) is _stop:
            _arm()
        if callable(submitit) and signal.SIGUSR2 in came:
            submitit(signal.SIGUSR2, None)


@contextmanager
def held_back() -> Iterator[None]:
    """Blocks stop signals inside; processes started inside inherit the block. See `on_request`."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, HELD_BACK)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def on_request(asked: threading.Event) -> None:
    """In a process started inside `held_back`: a stop signal, even one already pending, only sets `asked`."""

    def wait() -> None:
        while True:
            signal.sigwait(HELD_BACK)
            asked.set()

    threading.Thread(target=wait, daemon=True).start()


def _stop(signum: int, _frame: FrameType | None) -> NoReturn:
    _arm()
    raise Stopped(signum)


def _arm() -> None:
    """Makes any further signal end the process at once."""
    for signum in (*ASKING, signal.SIGINT):
        signal.signal(signum, lambda signum, _frame: os._exit(128 + signum))


@contextmanager
def _handlers(handlers: dict[int, Any]) -> Iterator[None]:
    """Installs handlers for the block. Only the main thread receives signals; in others this is a no-op."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {signum: signal.signal(signum, handler) for signum, handler in handlers.items()}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
