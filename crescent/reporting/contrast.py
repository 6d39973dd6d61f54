"""Any weighted sum of scores, with the interval of a paired difference.

In: rows of a `Comparison`, or passes of them, with weights that sum to 0. Out: the sum, formed question by question and
seed by seed. What is summed and why, others decide (`effects.py`, `explain.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crescent.evaluation.statistics import Difference, paired_difference
from crescent.reporting.items import Items, align
from crescent.reporting.results import Comparison
from crescent.reporting.rows import Column, Row, evaluation_of, score_of


@dataclass(frozen=True, slots=True)
class Term:
    """A row's students count `weight`: those of a pass, or of each run's last."""

    row: Row
    weight: float
    iteration: int | None = None


def contrast(comparison: Comparison, terms: Sequence[Term], column: Column) -> Difference | None:
    """Over the seeds and questions that all terms have; None where samples are missing."""
    runs = [{run.seed: run for run in term.row.runs} for term in terms]
    seeds = sorted(set(runs[0]).intersection(*runs))
    score = score_of(terms[0].row.runs[0], terms[0].row, column, comparison.options.metric)
    tables: list[Items] = []
    for term, by_seed in zip(terms, runs, strict=True):
        for seed in seeds:
            evaluation = evaluation_of(by_seed[seed], term.row, column, term.iteration)
            table = comparison.reader.items(by_seed[seed], evaluation, column.part) if evaluation else None
            if not isinstance(table, Items):
                return None
            tables.append(table)
    if not tables or score is None:
        return None
    values, groups = align(tables, f"{score.metric},{score.filter}")
    if len(set(groups)) < 2:
        return None
    weights = np.array([term.weight for term in terms])
    by_term = values.reshape(len(terms), len(seeds), -1)
    after, before = (np.tensordot(np.maximum(sign * weights, 0), by_term, axes=1) for sign in (1, -1))
    return paired_difference(after, before, groups)
