"""One of several training processes: `python -m crescent.training.worker FOLDER`, started by `launch.py` alone.

In: the task in FOLDER, its rank in the environment, and a pipe on stdin. Out: messages of rank 0 on stdout, a line of
JSON each, and the checkpoint in FOLDER. It ends when the pipe closes: whoever started it is gone then.
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
    """Messages to the process that waits; of rank 0 only."""

    def __init__(self, out: Any, team: Team) -> None:
        self._out, self._speaks = out, team.rank == 0

    def send(self, message: dict[str, Any]) -> None:
        """One message."""
        if self._speaks:
            self._out.write(json.dumps(message) + "\n")
            self._out.flush()


def main() -> None:
    """Runs the task."""
    folder = Path(sys.argv[1])
    task: Task = pickle.loads((folder / TASK).read_bytes())
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print belongs in the log
    team = Team(int(os.environ["LOCAL_RANK"]), int(os.environ["WORLD_SIZE"]), task.settings.strategy)
    on_request(team.asked)
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(task.port))
    warnings.filterwarnings("ignore", category=FutureWarning)
    try:
        _train(task, team, folder, Reporter(out, team))
    except (ValueError, MemoryError) as error:
        write_fault(folder, team, error)
        os._exit(1)  # the others may be waiting for this process: no clean-up that talks to them
    out.close()


def _train(task: Task, team: Team, folder: Path, reporter: Reporter) -> None:
    import torch

    from crescent.core.console import Console
    from crescent.training.loop import train

    threading.Thread(target=_listen, args=(team,), daemon=True).start()
    torch.manual_seed(task.settings.seed)  # a new adapter is drawn at random, the same in all processes
    model, _ = task.settings.method.load(task.weights)

    def curve(metrics: Any, step: int) -> None:
        reporter.send({"step": step, "metrics": dict(metrics)})

    def say(text: str) -> None:
        reporter.send({"say": text})

    train(model, task.examples, task.pad_id, task.settings, folder, Console(quiet=True), curve, team, say)


def _listen(team: Team) -> None:
    """A request to stop, like a signal, is taken between two steps; a closed pipe ends the process at once."""
    while os.read(0, len(STOP)):  # not sys.stdin: a thread that waits in it disturbs the end of the interpreter
        team.asked.set()
    os._exit(1)


if __name__ == "__main__":
    main()
