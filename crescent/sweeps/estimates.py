"""Estimates how long work items take, from finished jobs, and so how much time is left.

In: the folders of finished jobs (`summary.json`, `status.json`). Out: an `Estimate` for jobs to come, summed over
distinct work items, because work that jobs share is done once. An item counts as done if a finished job did it and its
artifacts still exist. Nothing is measured by a trial: stages that no finished job ran are reported as unknown.
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

MOST_JOBS = 200  # read at most this many earlier jobs, the newest first


@dataclass(frozen=True, slots=True)
class Estimate:
    """Seconds of work, excluding the stages in `unknown`, for which no finished job has a measurement."""

    seconds: float
    unknown: tuple[str, ...]

    def text(self) -> str:
        """For display: about 12 min."""
        if not self.unknown:
            return f"about {duration(self.seconds)}"
        return f"at least {duration(self.seconds)} ({', '.join(self.unknown)} not known yet)"


class RuntimeEstimator:
    """Seconds per unit of work, learned from finished jobs; `jobs` is how many were usable."""

    def __init__(self) -> None:
        self.jobs = 0
        self._paces: dict[tuple[str, str], list[float]] = defaultdict(list)  # (stage, like) -> seconds per unit
        self._rest: list[float] = []  # seconds of a job outside its stages: loading libraries, writing the report
        self._done: dict[str, list[WorkItem]] = defaultdict(list)

    @classmethod
    def of_sweeps(cls, folder: Path) -> "RuntimeEstimator":
        """Learns from the sweeps in `folder`: <folder>/<sweep>/<job>/summary.json."""
        estimator = cls()
        for file in sorted(folder.glob("*/*/summary.json"), reverse=True)[:MOST_JOBS]:
            estimator.learn(file.parent)
        return estimator

    def learn(self, folder: Path) -> None:
        """Learns from one job if it finished and can be read; otherwise it is ignored."""
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
            return  # damaged, or written by another release
        self.jobs += 1
        for item in did if there else ():
            self._done[item.key].append(item)

    def estimate(self, jobs: Sequence[Sequence[WorkItem]]) -> Estimate:
        """Sums over distinct unfinished items; each takes the most that any job needs of it, less what is already
        done.
        """
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
        """Records the seconds per unit, if at most half of the item was in the store."""
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
    """Pairs each report with its item: the n-th report of a stage with the n-th item of that stage."""
    waiting: dict[str, list[WorkItem]] = defaultdict(list)
    for item in did:
        waiting[item.stage].append(item)
    for report in reports:
        if waiting[report["stage"]]:
            yield waiting[report["stage"]].pop(0), report
