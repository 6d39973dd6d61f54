"""One of several training processes: `python -m crescent.training.worker FOLDER`, started only by `launch.py`.

In: the task in FOLDER, its rank in the environment, and a pipe on stdin. Out: messages of rank 0 on stdout, one line of
JSON each, and the checkpoint in FOLDER. The process exits when the pipe closes, because its parent is gone then.
"""

import json
import os
import pickle
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

from crescent.core.signals import on_request
from crescent.training.launch import STOP, TASK, Task, write_fault
from crescent.training.team import Team


class Reporter:
    """Sends messages to the waiting process; only from rank 0."""

    def __init__(self, out: Any, team: Team) -> None:
        self._out, self._speaks = out, team.rank == 0

    def send(self, message: dict[str, Any]) -> None:
        if self._speaks:
            self._out.write(json.dumps(message) + "\n")
            self._out.flush()


def main() -> None:
    """Runs the task."""
    folder = Path(sys.argv[1])
    task: Task = pickle.loads((folder / TASK).read_bytes())
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries' output goes to the log
    team = Team(int(os.environ["LOCAL_RANK"]), int(os.environ["WORLD_SIZE"]), task.settings.strategy)
    on_request(team.asked)
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(task.port))
    warnings.filterwarnings("ignore", category=FutureWarning)
    try:
        _train(task, team, folder, Reporter(out, team))
    except (ValueError, MemoryError) as error:
        write_fault(folder, team, error)
        os._exit(1)  # the others may be waiting for this process, so skip clean-up that communicates with them
    out.close()


def _train(task: Task, team: Team, folder: Path, reporter: Reporter) -> None:
    import torch

    from crescent.core.console import Console
    from crescent.training.loop import train

    threading.Thread(target=_listen, args=(team,), daemon=True).start()
    torch.manual_seed(task.settings.seed)  # a new adapter is initialised at random, identically in all processes
    model, _ = task.settings.method.load(task.weights)

    def curve(metrics: Any, step: int) -> None:
        reporter.send({"step": step, "metrics": dict(metrics)})

    def say(text: str) -> None:
        reporter.send({"say": text})

    train(model, task.examples, task.pad_id, task.settings, folder, Console(quiet=True), curve, team, say)


def _listen(team: Team) -> None:
    """Handles a stop request between two steps, like a signal; exits at once if the pipe closes."""
    while os.read(0, len(STOP)):  # not sys.stdin: a thread waiting in it would interfere with interpreter shutdown
        team.asked.set()
    os._exit(1)


if __name__ == "__main__":
    main()
