"""A run that is asked to end, by a cluster or a person, ends in order.

In: SIGTERM (pre-emption, `kill`, `docker stop`) or SIGUSR1 (the warning that Slurm's `--signal` sends). Out: `Stopped`,
raised in the main thread like a KeyboardInterrupt: files are closed, the tracked run is finished, and what was computed
is on disk already. A second signal ends the process at once.
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
"""Slurm sends its warning to every process of a job; submitit asks it for SIGUSR2."""
STATUS = 128 + signal.SIGTERM  # of a process that was asked to end


class Stopped(SystemExit):
    """Asked to end by a signal. A SystemExit, so that event loops and libraries let it pass."""

    def __init__(self, signum: int = signal.SIGTERM) -> None:
        super().__init__(STATUS)
        self.signum = signum


@contextmanager
def stoppable() -> Iterator[None]:
    """In here the first signal to end raises `Stopped` or KeyboardInterrupt; the second ends the process."""

    def interrupt(signum: int, frame: FrameType | None) -> None:
        _arm()
        signal.default_int_handler(signum, frame)

    ends: dict[int, Any] = dict.fromkeys(ASKING, _stop)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not where a shell has it ignored
        ends[signal.SIGINT] = interrupt
    with _handlers(ends):
        yield


@contextmanager
def between_steps() -> Iterator[None]:
    """In here SIGTERM is left to a loop with a handler of its own, to end between two steps; others become a SIGTERM.

    While the loop's handler is not there yet, or no longer, the run is stopped as anywhere else. A handler of SIGUSR2
    is submitit's, which queues the job again and exits: its turn comes when the loop has ended. `Stopped` names the
    signal that came, not the SIGTERM made of it.
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
        if noted:  # too late for the loop to end between two steps
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
    """In here no signal to end is delivered; a process that is started here is born so. See `on_request`."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, HELD_BACK)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def on_request(asked: threading.Event) -> None:
    """In a process born `held_back`: a signal to end, one that has come already too, sets `asked` and does no more."""

    def wait() -> None:
        while True:
            signal.sigwait(HELD_BACK)
            asked.set()

    threading.Thread(target=wait, daemon=True).start()


def _stop(signum: int, _frame: FrameType | None) -> NoReturn:
    _arm()
    raise Stopped(signum)


def _arm() -> None:
    """From now on a signal ends the process at once."""
    for signum in (*ASKING, signal.SIGINT):
        signal.signal(signum, lambda signum, _frame: os._exit(128 + signum))


@contextmanager
def _handlers(handlers: dict[int, Any]) -> Iterator[None]:
    """Signals reach the main thread alone; elsewhere nothing is changed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {signum: signal.signal(signum, handler) for signum, handler in handlers.items()}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
