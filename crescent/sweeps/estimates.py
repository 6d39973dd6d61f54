"""How long work items take, learned from jobs that are finished; so, how long is left.

In: the folders of finished jobs (`summary.json`, `status.json`). Out: an `Estimate` for jobs that are still to come,
summed over distinct work items, because what two jobs share is done once. A item counts as done where a finished
job did it and its artifacts are still there. Nothing is tried out: where no job tells, that is said.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crescent.config.typed import ConfigError
from crescent.core.console import duration
from crescent.experiment import Experiment
from crescent.sweeps.shared_work import WorkItem, work_items

MOST_JOBS = 200  # earlier ones that are read, the newest


@dataclass(frozen=True, slots=True)
class Estimate:
    """Seconds of work, but for the stages in `unknown`, of which no finished job tells."""

    seconds: float
    unknown: tuple[str, ...]

    def text(self) -> str:
        """For people: about 12 min."""
        if not self.unknown:
            return f"about {duration(self.seconds)}"
        return f"at least {duration(self.seconds)} ({', '.join(self.unknown)} not known yet)"


class RuntimeEstimator:
    """Seconds per unit of work, learned from finished jobs; `jobs` is how many of them could be used."""

    def __init__(self) -> None:
        self.jobs = 0
        self._paces: dict[tuple[str, str], list[float]] = defaultdict(list)  # (stage, like) -> seconds per unit
        self._rest: list[float] = []  # of a job beside its stages: loading libraries, writing the report
        self._done: dict[str, list[WorkItem]] = defaultdict(list)

    @classmethod
    def of_sweeps(cls, folder: Path) -> "RuntimeEstimator":
        """What the sweeps below `folder` tell: <folder>/<sweep>/<job>/summary.json."""
        estimator = cls()
        for file in sorted(folder.glob("*/*/summary.json"), reverse=True)[:MOST_JOBS]:
            estimator.learn(file.parent)
        return estimator

    def learn(self, folder: Path) -> None:
        """Takes in one job, where it is finished and can be read."""
        try:
            summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
            status = json.loads((folder / "status.json").read_text(encoding="utf-8"))
            if summary["status"] != "finished":
                return
            did, stages = work_items(Experiment.from_node(summary["config"])), summary["stages"]
            for item, report in _paired(did, stages):
                self._time(item, report)
            self._rest.append(max(0.0, status["seconds"] - sum(report["seconds"] for report in stages)))
            there = all(Path(path).exists() for path in summary["artifacts"].values())
        except (OSError, ValueError, KeyError, TypeError, AttributeError, ConfigError):
            return  # of another release, or damaged: it tells nothing
        self.jobs += 1
        for item in did if there else ():
            self._done[item.key].append(item)

    def estimate(self, jobs: Sequence[Sequence[WorkItem]]) -> Estimate:
        """Of all items that are not done, each once: the longest wish for it less what is done of it."""
        left: dict[str, float] = {}
        unknown: dict[str, None] = {}
        for item in (item for job in jobs for item in job):
            done = self._done[item.key]
            wish = self._seconds(item)
            if wish is not None:
                already = max((self._seconds(one) or 0.0 for one in done), default=0.0)
                left[item.key] = max(left.get(item.key, 0.0), wish - already)
            elif not any(one.units >= item.units for one in done):
                unknown[item.stage] = None
        rest = len(jobs) * sum(self._rest) / max(1, len(self._rest))
        return Estimate(rest + sum(left.values()), tuple(unknown))

    def _time(self, item: WorkItem, report: Mapping[str, Any]) -> None:
        """Notes what a unit took, if most of the item was not in the store."""
        fresh = report["records"] - report["reused_records"]
        if fresh > 0 and 2 * fresh >= report["records"]:
            seconds = report["seconds"] * report["records"] / fresh / item.units
            for likeness in (item.like, item.roughly):
                self._paces[item.stage, likeness].append(seconds)

    def _seconds(self, item: WorkItem) -> float | None:
        seen = self._paces.get((item.stage, item.like)) or self._paces.get((item.stage, item.roughly))
        return item.units * sum(seen) / len(seen) if seen else None


def _paired(
    did: Sequence[WorkItem], reports: Sequence[Mapping[str, Any]]
) -> Iterator[tuple[WorkItem, Mapping[str, Any]]]:
    """Each report with the item it tells of: the n-th of its stage."""
    waiting: dict[str, list[WorkItem]] = defaultdict(list)
    for item in did:
        waiting[item.stage].append(item)
    for report in reports:
        if waiting[report["stage"]]:
            yield waiting[report["stage"]].pop(0), report
