"""A sweep: its plan before the first job, a status file for each job, and at the end what became of them.

In: Hydra's multirun and the jobs it starts, in this process, in others, or on other machines. Out: lines on stderr and,
in each job's folder, `status.json`. A job that fails stops no other. Nothing is scheduled here: that is the launcher's.

    {"job": 2, "overrides": ["vote.draws=5"], "state": "failed", "message": "...", "seconds": 41.2, "host": "node7"}

`state` is running, finished, failed or stopped; a job that was killed stays "running".
"""

import json
import logging
import platform
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from crescent.console import Console
from crescent.resolvers import register_resolvers
from crescent.store import write_atomic

log = logging.getLogger(__name__)
FILE = "status.json"
MOST_LINES = 40


@dataclass(frozen=True, slots=True)
class Failure:
    """A message for people, its kind (config or error), and the exit status."""

    kind: str
    message: str
    status: int


@dataclass(frozen=True, slots=True)
class Plan:
    """The jobs of a sweep, each as its overrides, in order; empty where its sweeper decides as it goes."""

    folder: Path
    jobs: tuple[tuple[str, ...], ...]
    launcher: str

    def lines(self) -> list[str]:
        """What is said before the first job."""
        count = f"{len(self.jobs)} jobs" if self.jobs else "jobs as the sweeper asks for them"
        axes = [f"varied: {key} = {', '.join(values)}" for key, values in self._axes().items()]
        jobs = [f"{number:3}  {self.name(job)}" for number, job in enumerate(self.jobs)]
        return [f"{count}, launcher {self.launcher}, in {self.folder}", *axes, *_shortened(jobs)]

    def name(self, overrides: Sequence[str]) -> str:
        """What tells a job from the others."""
        axes = self._axes()
        return " ".join(one for one in overrides if not self.jobs or one.partition("=")[0] in axes)

    def _axes(self) -> dict[str, list[str]]:
        """The keys that vary, with their values in order."""
        values: dict[str, list[str]] = {}
        for override in dict.fromkeys(override for job in self.jobs for override in job):
            key, _, value = override.partition("=")
            values.setdefault(key, []).append(value)
        return {key: seen for key, seen in values.items() if len(seen) > 1}


class SweepPlan(Callback):
    """Hydra tells of a sweep before it starts. A copy in another process can compose there."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Prints the plan, and remembers it for the report."""
        plan = _plan(config)
        _running.append(plan)
        console = Console()
        console.heading("Sweep")
        for line in plan.lines():
            console.say(line)

    def __reduce__(self) -> tuple[Any, ...]:
        return _received, ()


_running: list[Plan] = []
"""The sweep of this process: Hydra makes the callback, the command's end reads it."""


def _received() -> SweepPlan:
    register_resolvers()
    return SweepPlan()


@contextmanager
def recorded(
    folder: Path, number: int, overrides: Sequence[str], explain: Callable[[Exception], Failure | None]
) -> Iterator[None]:
    """One job of a sweep. An error ends the job and goes into its status; that of a bug is printed in full as well."""
    start, state, message = time.time(), "stopped", ""

    def write(now: str) -> None:
        known = {"job": number, "overrides": list(overrides), "state": now, "message": message}
        status = {**known, "seconds": round(time.time() - start, 1), "host": platform.node()}
        write_atomic(folder / FILE, json.dumps(status, indent=1, ensure_ascii=False) + "\n")

    write("running")
    try:
        yield
        state = "finished"
    except Exception as error:
        failure, state = explain(error), "failed"
        if failure is None:
            message = f"{type(error).__name__}: {error}"
            traceback.print_exc()
        else:
            message = f"{failure.kind}: {failure.message}"
        Console().say(f"job {number} failed: {message}")
    finally:
        write(state)


@contextmanager
def reported(console: Console, command: str) -> Iterator[None]:
    """The command. After a sweep it tells what became of the jobs; where one failed the exit status is 1."""
    _running.clear()
    fault = ""
    try:
        yield
    except Exception as error:
        if not _running or not list(_running[0].folder.glob(f"*/{FILE}")):
            raise
        fault = next(iter(str(error).splitlines()), type(error).__name__)
    except (SystemExit, KeyboardInterrupt):
        if _running:
            _report(_running[0], console)
        raise
    if _running and (not _report(_running[0], console) or fault):
        if fault:
            console.say(f"the launcher ended with: {fault}")
        console.say(f"Mend what failed; the same command does only what is missing: {command}")
        raise SystemExit(1)


def _report(plan: Plan, console: Console) -> bool:
    """Prints what became of each job; whether all of them finished."""
    statuses = {status["job"]: status for status in _statuses(plan.folder)}
    jobs = range(max(len(plan.jobs), 1 + max(statuses, default=-1)))
    states = [_state(statuses.get(job)) for job in jobs]
    console.heading(f"Sweep: {', '.join(f'{states.count(state)} {state}' for state in dict.fromkeys(states))}")
    for line in _shortened([_line(plan, job, statuses.get(job)) for job in jobs]):
        console.say(line)
    return all(state == "finished" for state in states)


def _state(status: Mapping[str, Any] | None) -> str:
    if status is None:
        return "not started"
    return "cut off" if status["state"] == "running" else status["state"]


def _line(plan: Plan, job: int, status: Mapping[str, Any] | None) -> str:
    if status is None:
        return f"{job:3}  not started  {plan.name(plan.jobs[job])}"
    about = {"failed": status["message"], "finished": _reuse(plan.folder / str(job))}.get(status["state"], "")
    return (
        f"{job:3}  {_state(status)} after {status['seconds']:.0f} s  {plan.name(status['overrides'])}  {about}".rstrip()
    )


def _reuse(folder: Path) -> str:
    """How much of a job came out of the store."""
    try:
        stages = json.loads((folder / "summary.json").read_text(encoding="utf-8"))["stages"]
    except (OSError, ValueError, KeyError):
        return ""
    records, reused = (sum(stage[name] for stage in stages) for name in ("records", "reused_records"))
    return "(all from the store)" if reused == records else f"({reused / max(1, records):.0%} from the store)"


def _statuses(folder: Path) -> Iterator[dict[str, Any]]:
    for file in folder.glob(f"*/{FILE}"):
        yield json.loads(file.read_text(encoding="utf-8"))


def _plan(config: DictConfig) -> Plan:
    """The jobs as Hydra's own sweeper will make them. What it cannot parse it will say itself."""
    launcher, sweeper = (str(config.hydra[name]._target_).split(".")[-1] for name in ("launcher", "sweeper"))
    folder = Path(config.hydra.sweep.dir)
    if sweeper != "BasicSweeper":
        return Plan(folder, (), launcher)
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

    params = OmegaConf.to_container(config.hydra.sweeper.params, resolve=True) if config.hydra.sweeper.params else {}
    assert isinstance(params, dict)
    texts = [*(f"{key}={value}" for key, value in params.items()), *config.hydra.overrides.task]
    try:
        batches = BasicSweeper.split_arguments(OverridesParser.create().parse_overrides(texts), None)
    except HydraException:
        return Plan(folder, (), launcher)
    return Plan(folder, tuple(tuple(job) for batch in batches for job in batch), launcher)


def _shortened(lines: Sequence[str]) -> list[str]:
    left = len(lines) - MOST_LINES
    return [*lines[:MOST_LINES], *([f"... and {left} more"] if left > 0 else [])]
