"""Totals by stage: what the stages of runs made and what it cost, in the order of the method.

In: runs as read from their summaries. Out: `StageTotals`, also for stages that Crescent does not know.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crescent.core.stages import in_order, stage_info
from crescent.reporting.read.runs import Run


@dataclass(frozen=True, slots=True)
class StageTotals:
    """Sums over runs and iterations. `counts` are integer counters of the last report, only for a single run."""

    label: str
    unit: str
    records: int
    reused_records: int
    tokens: int
    new_tokens: int
    seconds: float
    counts: tuple[tuple[str, int], ...]


def stage_totals(runs: Sequence[Run]) -> list[StageTotals]:
    """Totals for each stage that any run reported."""
    reports = [report for run in runs for report in run.stages]
    totals = []
    for name in in_order([report["stage"] for report in reports]):
        of_stage = [report for report in reports if report["stage"] == name]
        last = of_stage[-1]["info"] if len(runs) == 1 else {}
        whole = {key: value for key, value in last.items() if type(value) is int and "/" not in key}
        info = stage_info(name)
        totals.append(
            StageTotals(
                info.label,
                info.unit,
                records=_sum(of_stage, "records"),
                reused_records=_sum(of_stage, "reused_records"),
                tokens=_sum(of_stage, "tokens"),
                new_tokens=_sum(of_stage, "new_tokens"),
                seconds=sum(report["seconds"] for report in of_stage),
                counts=tuple(whole.items()),
            )
        )
    return totals


def _sum(reports: Sequence[Mapping[str, Any]], field: str) -> int:
    return sum(report[field] for report in reports)
