"""A sweep: its plan before the first job, a status file for each job, and a report at the end.

`jobs.py` lists the jobs, `shared_work.py` finds what they share, `estimates.py` how long they take.

In: Hydra's multirun and the jobs it starts, in this process, in others, or on other machines. Out: lines on stderr and,
in each job's folder, `status.json`. A failed job stops no other. Scheduling is left to the launcher.

    {"job": 2, "overrides": ["vote.draws=5"], "state": "failed", "message": "...", "seconds": 41.2, "host": "node7"}

`state` is running, finished, failed or stopped; a job that was killed stays "running".
"""

import json
import logging
import platform
import shlex
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
OFFLINE = "*/wandb/offline-run-*"


@dataclass(frozen=True, slots=True)
class Failure:
    """A message for the user, its kind (config or error), and the exit status."""

    kind: str
    message: str
    status: int


@dataclass(frozen=True, slots=True)
class Sweep:
    """The sweep of this process: its plan, each job's work items, and an estimator that learns from finished jobs."""

    plan: Plan
    work: "Sequence[Sequence[WorkItem]]"
    estimator: "RuntimeEstimator"

    def forecast(self) -> list[str]:
        """What the jobs share and how long they will take, as far as known before the first job."""
        from crescent.sweeps.shared_work import shared

        if not self.work:
            return []
        rests_on = f"estimated from {_jobs(self.estimator.jobs)} ({self.plan.folder.parent.absolute()})"
        if self.estimator.jobs:
            of_work = "" if self.plan.in_turn else " of work, distributed by the launcher"
            expected = f"expected: {self.estimator.estimate(self.work).text()}{of_work}; {rests_on}"
        elif self.plan.in_turn:
            expected = "expected: known after the first job"
        else:
            expected = f"expected: unknown, no finished job in {self.plan.folder.parent} yet"
        return [f"shared: {shared(self.work)}", expected]

    def progress(self, job: int) -> str:
        """The line printed after each job if jobs run one after another."""
        status = json.loads((self.plan.folder / str(job) / FILE).read_text(encoding="utf-8"))
        self.estimator.learn(self.plan.folder / str(job))
        said = f"job {job} {status['state']} in {duration(status['seconds'])}; {job + 1} of {len(self.work)} done"
        left = self.work[job + 1 :]
        return f"{said}, {self.estimator.estimate(left).text()} left" if left and self.estimator.jobs else said


class SweepPlan(Callback):
    """Hydra calls this callback before a sweep starts. A copy unpickled in another process registers our resolvers."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Composes every job, prints the plan, and keeps it for the report. Raises UnfitJob."""
        from crescent.sweeps.estimates import RuntimeEstimator
        from crescent.sweeps.shared_work import work_items

        jobs = plan(config)
        composed = list(experiments(jobs, config))
        try:
            work = [work_items(one) for one in composed]
        except Exception as error:  # for example in a user's class; a sweep can run without a forecast
            log.warning("cannot determine what the jobs share: %s: %s", type(error).__name__, error)
            work = []
        sweep = Sweep(jobs, work, RuntimeEstimator.of_sweeps(jobs.folder.parent))
        _running.append(sweep)
        console = Console()
        console.heading("Sweep")
        for line in jobs.lines(sweep.forecast()):
            console.say(line)

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """Prints the sweep's progress, in the process that holds the sweep."""
        if _running and _running[0].work and _running[0].plan.in_turn:
            Console().say(_running[0].progress(config.hydra.job.num))

    def __reduce__(self) -> tuple[Any, ...]:
        return _received, ()


_running: list[Sweep] = []
"""The sweep of this process: set by Hydra's callback, read when the command ends."""


def _received() -> SweepPlan:
    register_resolvers()
    return SweepPlan()


def next_step(folder: Path) -> str:
    """The last line of a sweep whose jobs have all finished."""
    summaries = [json.loads(file.read_text(encoding="utf-8")) for file in folder.glob("*/summary.json")]
    if not any(summary.get("scores") for summary in summaries):
        return "next: the same command with a suite, such as eval=math, scores the jobs; finished work is reused"
    place = shlex.quote(str(folder))
    return f"next: crescent-compare {place} --html {place}/report.html compares the jobs"


@contextmanager
def recorded(
    folder: Path, number: int, overrides: Sequence[str], explain: Callable[[Exception], Failure | None]
) -> Iterator[None]:
    """Runs one job of a sweep. An error ends the job and goes into its status; a bug's traceback is printed as well."""
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
    """Runs the command. After a sweep it prints what became of the jobs; the exit status is 1 if any job failed."""
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
    if _running:
        console.say(next_step(_running[0].plan.folder))


def _report(plan: Plan, console: Console) -> bool:
    """Prints what became of each job. True if all finished."""
    statuses = {status["job"]: status for status in _statuses(plan.folder)}
    jobs = range(max(len(plan.jobs), 1 + max(statuses, default=-1)))
    states = [_state(statuses.get(job)) for job in jobs]
    console.heading(f"Sweep: {', '.join(f'{states.count(state)} {state}' for state in dict.fromkeys(states))}")
    for line in shortened([_line(plan, job, statuses.get(job)) for job in jobs]):
        console.say(line)
    if list(plan.folder.glob(OFFLINE)):
        console.say(f"upload to W&B: wandb sync {shlex.quote(str(plan.folder))}/{OFFLINE}")
    return all(state == "finished" for state in states)


def _state(status: Mapping[str, Any] | None) -> str:
    if status is None:
        return "not started"
    return "killed" if status["state"] == "running" else status["state"]


def _line(plan: Plan, job: int, status: Mapping[str, Any] | None) -> str:
    if status is None:
        return f"{job:3}  not started  {plan.name(plan.jobs[job])}"
    about = {"failed": status["message"], "finished": _reuse(plan.folder / str(job))}.get(status["state"], "")
    return (
        f"{job:3}  {_state(status)} after {status['seconds']:.0f} s  {plan.name(status['overrides'])}  {about}".rstrip()
    )


def _reuse(folder: Path) -> str:
    """How much of a job was reused from the store."""
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
