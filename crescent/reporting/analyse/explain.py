"""Explains a row: its labels, votes, questions and costs, and its student's scores by iteration.

In: a row of a comparison. Out: means over its seeds, with their standard deviation, all from summary.json. A measure
that no run has is None.
"""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from crescent.reporting.analyse.rows import Column, Row, score_of
from crescent.reporting.read.runs import Run


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean over `seeds` seeds; `deviation` is their standard deviation, None for a single seed."""

    value: float
    deviation: float | None
    seeds: int


def _label_accuracy(run: Run) -> float | None:
    return float(run.labels[-1]["labels_right"]) if run.labels else None


def _pairs(run: Run) -> float | None:
    trained_on = run.info("finetune", "pairs")
    return run.info("vote", "pairs") if trained_on is None else trained_on


def _total(name: str, without: str = "") -> Callable[[Run], float | None]:
    return lambda run: (
        float(sum(stage[name] for stage in run.stages if stage["stage"] != without)) if run.stages else None
    )


MEASURES: Mapping[str, Callable[[Run], float | None]] = {
    "label_accuracy": _label_accuracy,
    "agreement": lambda run: run.info("vote", "mean_agreement"),
    "vendi": lambda run: run.info("diversify", "after/vendi"),
    "pairs": _pairs,
    "draws": lambda run: run.info("vote", "mean_draws"),
    "rewrites": lambda run: run.info("diversify", "rewrites"),
    "dropped": lambda run: run.info("diversify", "dropped"),
    "tokens": _total("tokens"),
    "generated": _total("tokens", without="finetune"),
    "new_tokens": _total("new_tokens"),
}
"""Measures of a run: shares in 0..1 (of the last iteration), the effective number of questions kept, pairs trained on,
draws per question, rewrites requested, questions dropped; and over all iterations the tokens of its data and training,
whichever run paid for them, the generated ones among those, and those this run paid for.
"""
PER_ITERATION = ("diversity", "valid", "label_accuracy", "agreement", "trained_on")
"""Per iteration: the effective number of different questions as generated, shares in 0..1, pairs trained on."""


def explain(row: Row) -> dict[str, Mean | None]:
    """Each of `MEASURES`, averaged over the row's runs."""
    return {name: mean_of([measure(run) for run in row.runs]) for name, measure in MEASURES.items()}


def by_iteration(row: Row, column: Column, metric: str | None) -> list[Mean | None]:
    """The score before training, and the student's after each iteration."""
    base = replace(row, role="base")
    last = max(run.last_iteration for run in row.runs)
    scored = [[score_of(run, base, column, metric) for run in row.runs]]
    scored += [[score_of(run, row, column, metric, at) for run in row.runs] for at in range(1, last + 1)]
    return [mean_of([score.value if score else None for score in scores]) for scores in scored]


def measures_by_iteration(row: Row) -> dict[str, list[Mean | None]]:
    """Each of `PER_ITERATION` at each iteration; index 0 is the first iteration."""
    made = max(len(run.iterations) for run in row.runs)
    return {
        name: [mean_of([_number(run, at, name) for run in row.runs]) for at in range(made)] for name in PER_ITERATION
    }


def _number(run: Run, at: int, name: str) -> float | None:
    found = run.iterations[at].get(name) if at < len(run.iterations) else None
    return float(found) if isinstance(found, int | float) else None


def mean_of(values: Sequence[float | None]) -> Mean | None:
    """The mean of the known values; None if there are none."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    return Mean(statistics.fmean(known), statistics.stdev(known) if len(known) > 1 else None, len(known))
