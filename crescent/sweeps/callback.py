"""A sweep: its plan before the first job, a status file for each job, and at the end what became of them.

What a sweep will do is in `jobs.py`, what its jobs share in `shared_work.py`, how long they take in `estimates.py`.

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
from typing import TYPE_CHECKING, Any

from hydra.core.utils import JobReturn
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from crescent.config.resolvers import register_resolvers
from crescent.core.console import Console, duration
from crescent.core.store import write_atomic
from crescent.sweeps.jobs import Plan, experiments, plan, shortened

if TYPE_CHECKING:
    from crescent.sweeps.estimates import RuntimeEstimator
    from crescent.sweeps.shared_work import WorkItem

log = logging.getLogger(__name__)
FILE = "status.json"


@dataclass(frozen=True, slots=True)
class Failure:
    """A message for people, its kind (config or error), and the exit status."""

    kind: str
    message: str
    status: int


@dataclass(frozen=True, slots=True)
class Sweep:
    """A sweep of this process: its plan, the work items of each job, and the runtimes that finished jobs tell."""

    plan: Plan
    work: "Sequence[Sequence[WorkItem]]"
    estimator: "RuntimeEstimator"

    def forecast(self) -> list[str]:
        """What the jobs share and how long they will take, as far as it is known before the first of them."""
        from crescent.sweeps.shared_work import shared

        if not self.work:
            return []
        rests_on = f"from what {_jobs(self.estimator.jobs)} in {self.plan.folder.parent} took"
        if self.estimator.jobs:
            of_work = "" if self.plan.in_turn else " of work, shared out by the launcher"
            expected = f"expected: {self.estimator.estimate(self.work).text()}{of_work}; {rests_on}"
        elif self.plan.in_turn:
            expected = "minutes: known after the first job"
        else:
            expected = f"minutes: not known, no finished job in {self.plan.folder.parent} tells"
        return [f"shared: {shared(self.work)}", expected]

    def progress(self, job: int) -> str:
        """What is said after each job where they run in turn."""
        status = json.loads((self.plan.folder / str(job) / FILE).read_text(encoding="utf-8"))
        self.estimator.learn(self.plan.folder / str(job))
        said = f"job {job} {status['state']} in {duration(status['seconds'])}; {job + 1} of {len(self.work)} done"
        left = self.work[job + 1 :]
        return f"{said}, {self.estimator.estimate(left).text()} left" if left and self.estimator.jobs else said


class SweepPlan(Callback):
    """Hydra tells of a sweep before it starts. A copy in another process can compose there."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Composes every job, prints the plan, and remembers it for the report. Raises UnfitJob."""
        from crescent.sweeps.estimates import RuntimeEstimator
        from crescent.sweeps.shared_work import work_items

        jobs = plan(config)
        composed = list(experiments(jobs, config))
        try:
            work = [work_items(one) for one in composed]
        except Exception as error:  # of a class that is not ours, say: a sweep needs no forecast to run
            log.warning("what the jobs share cannot be told: %s: %s", type(error).__name__, error)
            work = []
        sweep = Sweep(jobs, work, RuntimeEstimator.of_sweeps(jobs.folder.parent))
        _running.append(sweep)
        console = Console()
        console.heading("Sweep")
        for line in jobs.lines(sweep.forecast()):
            console.say(line)

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """Tells how far the sweep is, in the process that holds it."""
        if _running and _running[0].work and _running[0].plan.in_turn:
            Console().say(_running[0].progress(config.hydra.job.num))

    def __reduce__(self) -> tuple[Any, ...]:
        return _received, ()


_running: list[Sweep] = []
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
        if not _running or not list(_running[0].plan.folder.glob(f"*/{FILE}")):
            raise
        fault = next(iter(str(error).splitlines()), type(error).__name__)
    except (SystemExit, KeyboardInterrupt):
        if _running:
            _report(_running[0].plan, console)
        raise
    if _running and (not _report(_running[0].plan, console) or fault):
        if fault:
            console.say(f"the launcher ended with: {fault}")
        console.say(f"Fix the failures and rerun the same command; finished work is reused: {command}")
        raise SystemExit(1)


def _report(plan: Plan, console: Console) -> bool:
    """Prints what became of each job; whether all of them finished."""
    statuses = {status["job"]: status for status in _statuses(plan.folder)}
    jobs = range(max(len(plan.jobs), 1 + max(statuses, default=-1)))
    states = [_state(statuses.get(job)) for job in jobs]
    console.heading(f"Sweep: {', '.join(f'{states.count(state)} {state}' for state in dict.fromkeys(states))}")
    for line in shortened([_line(plan, job, statuses.get(job)) for job in jobs]):
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


def _jobs(count: int) -> str:
    return "1 finished job" if count == 1 else f"{count} finished jobs"
