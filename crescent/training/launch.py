"""Training in several processes, which are started for the training, monitored, and ended with it.

In: the same as for one process. Out: the trained parameters, in a checkpoint in the scratch folder, from which the
caller loads them into its model. The processes are new ones (`python -m crescent.training.worker`): the caller may hold
locks, a GPU and threads that a fork must not copy. None outlives the caller: they exit when the pipe from it closes,
whatever ended it. A termination signal to the caller or to any process (Slurm signals all) ends all of them together
after the current step.
"""

import json
import os
import pickle
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from crescent.core.console import Console
from crescent.core.errors import OutOfMemory, RunError
from crescent.core.signals import STATUS, Stopped, between_steps, held_back
from crescent.core.store import write_atomic
from crescent.engines.weights import Weights
from crescent.training.data import Example
from crescent.training.loop import Curve
from crescent.training.settings import TrainSettings
from crescent.training.team import Team

TASK = "task.pickle"
STOP = b"stop\n"
GRACE_SECONDS = 600.0
"""Time between a stop request and a kill: a step in flight and its checkpoint, which may be 100 GB."""
_ERRORS = {"ValueError": ValueError, "MemoryError": MemoryError}


@dataclass(frozen=True, slots=True)
class Task:
    """The input of each process."""

    settings: TrainSettings
    weights: Weights
    examples: Sequence[Example]
    pad_id: int
    port: int


def launch(
    weights: Weights, examples: Sequence[Example], pad_id: int, settings: TrainSettings, folder: Path,
    console: Console, curve: Curve | None = None,
) -> None:  # fmt: skip
    """Trains in `settings.devices` processes; the last checkpoint in `folder` is the result.

    Raises ValueError or MemoryError with a process's own message, OutOfMemory if the system killed one, RunError if one
    crashed.
    """
    for rank in range(settings.devices):
        _fault(folder, rank).unlink(missing_ok=True)  # of an earlier attempt
    task = Task(settings, weights, examples, pad_id, _free_port())
    (folder / TASK).write_bytes(pickle.dumps(task))
    stop = threading.Event()
    with ExitStack() as stack:
        stack.enter_context(between_steps())
        stack.enter_context(_on_sigterm(stop))
        team = [stack.enter_context(_process(folder, rank, settings.devices)) for rank in range(settings.devices)]
        with console.progress("finetune", _steps(settings, examples), "steps") as tally:
            for message in _messages(team, stop):
                _show(message, console, curve, tally)
        statuses = [process.wait() for process in team]
        if stop.is_set():
            raise Stopped
        raise_fault(statuses, folder)
        if STATUS in statuses:  # a signal reached only the processes
            raise Stopped


def _steps(settings: TrainSettings, examples: Sequence[Example]) -> int:
    return settings.epochs * -(-len(examples) // settings.batch_size)


def _show(message: Mapping[str, Any], console: Console, curve: Curve | None, tally: Any) -> None:
    if "say" in message:
        console.say(message["say"])
        return
    if curve is not None:
        curve(message["metrics"], message["step"])
    tally.advance(1, note=f"loss {message['metrics']['loss']:.3f}")


@contextmanager
def _process(folder: Path, rank: int, size: int) -> "Iterator[subprocess.Popen[bytes]]":
    """One process, ended with the context. Its messages come through its stdout; other output goes to a log."""
    threads = os.environ.get("OMP_NUM_THREADS") or str(max(1, (os.cpu_count() or 1) // size))
    environment = {
        **os.environ, "LOCAL_RANK": str(rank), "NODE_RANK": "0", "WORLD_SIZE": str(size), "OMP_NUM_THREADS": threads,
    }  # fmt: skip
    with open(folder / f"rank-{rank}.log", "wb") as log:
        with held_back():
            process = subprocess.Popen(
                [sys.executable, "-m", "crescent.training.worker", str(folder)], env=environment, stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=log, start_new_session=True,  # this process passes Ctrl-C on
            )  # fmt: skip
        try:
            yield process
        finally:
            assert process.stdin is not None and process.stdout is not None
            process.stdin.close()  # signals the end of this process
            process.wait()
            process.stdout.close()


def _messages(team: "Sequence[subprocess.Popen[bytes]]", stop: threading.Event) -> Iterator[Mapping[str, Any]]:
    """Yields the processes' messages until all have ended; if one fails, the others are killed."""
    lines: queue.Queue[bytes] = queue.Queue()
    readers = [threading.Thread(target=_pump, args=(process, lines), daemon=True) for process in team]
    for reader in readers:
        reader.start()
    asked = 0.0
    while any(reader.is_alive() for reader in readers) or not lines.empty():
        with suppress(queue.Empty):
            yield json.loads(lines.get(timeout=0.2))
        if stop.is_set() and not asked:
            asked = time.monotonic()
            for process in team:
                _ask_to_stop(process)
        failed = any(process.poll() not in (None, 0, STATUS) for process in team)
        if failed or (asked and time.monotonic() - asked > GRACE_SECONDS):
            for process in team:
                process.kill()


def _pump(process: "subprocess.Popen[bytes]", lines: "queue.Queue[bytes]") -> None:
    assert process.stdout is not None
    for line in process.stdout:
        lines.put(line)


def _ask_to_stop(process: "subprocess.Popen[bytes]") -> None:
    assert process.stdin is not None
    try:
        process.stdin.write(STOP)
        process.stdin.flush()
    except BrokenPipeError:
        pass  # it has just ended by itself


@contextmanager
def _on_sigterm(stop: threading.Event) -> Iterator[None]:
    """Sets `stop` on SIGTERM. No-op outside the main thread, where signals cannot be caught."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)

    def note(signum: int, frame: FrameType | None) -> None:
        stop.set()
        if callable(before):
            before(signum, frame)

    signal.signal(signal.SIGTERM, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def raise_fault(statuses: Sequence[int], folder: Path) -> None:
    """Raises the error of the first process that failed by itself: when one fails, the others are killed."""
    bad = [rank for rank, status in enumerate(statuses) if status not in (0, STATUS)]
    for rank in bad:
        if _fault(folder, rank).exists():
            fault = json.loads(_fault(folder, rank).read_text(encoding="utf-8"))
            raise _ERRORS[fault["kind"]](fault["text"])
    own = [rank for rank in bad if statuses[rank] != -signal.SIGKILL]
    if own:
        log = (folder / f"rank-{own[0]}.log").read_text(encoding="utf-8", errors="replace").strip().splitlines()
        raise RunError(
            f"training process {own[0]} of {len(statuses)} ended with status {statuses[own[0]]}: {''.join(log[-1:])}"
        )
    if bad:
        raise OutOfMemory(
            "the system killed a training process (SIGKILL), probably because the machine ran out of memory: each of "
            f"the {len(statuses)} processes loads the whole model. Lower train.devices, use a smaller student, "
            "or request more memory; the same command then resumes from the last checkpoint"
        )


def write_fault(folder: Path, team: Team, error: Exception) -> None:
    """Stores an error for `raise_fault` in the waiting process."""
    kind = "MemoryError" if isinstance(error, MemoryError) else "ValueError"
    write_atomic(_fault(folder, team.rank), json.dumps({"kind": kind, "text": str(error)}))


def _fault(folder: Path, rank: int) -> Path:
    return folder / f"fault-{rank}.json"


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]
