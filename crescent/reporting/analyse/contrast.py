"""Weighted sums of scores, with the interval of a paired difference.

In: rows of a `Comparison`, or single iterations of them, with weights that sum to 0. Out: the sum, computed question by
question and seed by seed. `effects.py` and `explain.py` decide what is summed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from crescent.reporting.analyse.results import Comparison
from crescent.reporting.analyse.rows import Column, Row, evaluation_of, score_of
from crescent.reporting.read.items import Items, align
from crescent.reporting.read.runs import Run
from crescent.statistics.paired import Difference, paired_difference


@dataclass(frozen=True, slots=True)
class Term:
    """The students of a row with a weight: those of one iteration, or each run's last."""

    row: Row
    weight: float
    iteration: int | None = None


def contrast(comparison: Comparison, terms: Sequence[Term], column: Column) -> Difference | None:
    """The weighted sum over the seeds and questions that all terms share; None if a term has none or samples are
    missing.

    If too few seeds are shared, runs are paired in order, as in the comparison itself.
    """
    options = comparison.options
    runs = _paired([_scored(term, column, options.metric) for term in terms])
    tables = []
    for term, own in zip(terms, runs, strict=True):
        for run in own:
            evaluation = evaluation_of(run, term.row, column, term.iteration)
            table = comparison.reader.items(run, evaluation, column.part) if evaluation else None
            if not isinstance(table, Items):
                return None
            tables.append(table)
    if not tables:
        return None
    score = score_of(runs[0][0], terms[0].row, column, options.metric, terms[0].iteration)
    assert score is not None
    values, groups = align(tables, f"{score.metric},{score.filter}")
    if len(set(groups)) < 2:
        return None
    weights = np.array([term.weight for term in terms])
    sums = np.tensordot(weights, values.reshape(len(terms), len(runs[0]), -1), axes=1)
    sums = sums.round(12)  # so that equal answers in many rows sum to 0, not to 1e-16 with an interval of zero width
    return paired_difference(sums, np.zeros(sums.shape[1]), groups, interval=options.interval)


def _scored(term: Term, column: Column, metric: str | None) -> dict[int, Run]:
    """The runs of a term that have a score in the column, by seed."""
    at = term.iteration
    return {run.seed: run for run in term.row.runs if score_of(run, term.row, column, metric, at) is not None}


def _paired(found: Sequence[Mapping[int, Run]]) -> list[list[Run]]:
    """The same number of runs for each term, paired by seed, or in order if too few seeds are shared."""
    shared = sorted(set(found[0]).intersection(*found))
    count = min(map(len, found))
    if len(shared) == count or len(shared) > 1:
        return [[runs[seed] for seed in shared] for runs in found]
    return [list(runs.values())[:count] for runs in found]
