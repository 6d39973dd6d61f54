"""What one setting does where all others are equal: main effects of an ablation, and trends over numbers.

In: a `Comparison`. Out: an `Effect` for each value of an axis over another, and a trend where they are three numbers or
more. Rows that are alike in every other setting are a stratum. An effect is a weighted sum of rows, within strata and
averaged over them, formed question by question and seed by seed: its interval is that of a paired difference.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import log2
from typing import Any

from crescent.evaluation.statistics import Difference
from crescent.reporting import axes as axis
from crescent.reporting.axes import Point
from crescent.reporting.contrast import Term, contrast
from crescent.reporting.results import Comparison
from crescent.reporting.rows import Column, Row

Weights = Mapping[Point, float]
"""What each row counts, by its point; the weights of a stratum sum to 0."""


@dataclass(frozen=True, slots=True)
class Effect:
    """`what` is "dedup: none over rejection" or "vote.draws: each doubling from 1 to 15"; `strata`: at how many places
    of the other settings it was tried. A column is missing where samples are."""

    axis: str
    what: str
    strata: int
    differences: Mapping[Column, Difference]


def effects(comparison: Comparison) -> list[Effect]:
    """Those of every axis whose values were tried with all else equal."""
    rows = {row.point: row for row in _students(comparison)}
    found = []
    for name, what, weights in _contrasts(comparison, list(rows)):
        strata = len({_rest(point, comparison.axes.index(name)) for point in weights})
        differences = {
            column: difference
            for column in comparison.columns
            if (difference := contrast(comparison, [Term(rows[at], weight) for at, weight in weights.items()], column))
        }
        found.append(Effect(axis.short(name), what, strata, differences))
    return found


def alone(comparison: Comparison) -> tuple[str, ...]:
    """The axes that never change alone: nothing tells what they do."""
    points = [row.point for row in _students(comparison)]
    seen = {name for name, _, _ in _contrasts(comparison, points)}
    return tuple(axis.short(name) for name in comparison.axes if name not in seen)


def last_over_first(comparison: Comparison, row: Row, column: Column) -> Difference | None:
    """The student of each run's last pass over that of its first; None where there is one pass."""
    if max(run.last_iteration for run in row.runs) < 2:
        return None
    return contrast(comparison, [Term(row, 1.0), Term(row, -1.0, iteration=1)], column)


def _students(comparison: Comparison) -> list[Row]:
    """Students asked in one way."""
    students = [row for row in comparison.students if row.cells]
    return [row for row in students if row.prompting == students[-1].prompting]


def _contrasts(comparison: Comparison, points: Sequence[Point]) -> Iterator[tuple[str, str, Weights]]:
    """Axis, what is contrasted, and the weights."""
    for place, name in enumerate(comparison.axes):
        values = sorted({point[place] for point in points}, key=lambda value: axis.order((value,)))
        strata = _strata(points, place)
        for what, weights in _of_axis(comparison, strata, place, values):
            if weights:
                yield name, f"{axis.short(name)}: {what}", weights


def _of_axis(
    comparison: Comparison, strata: Sequence[Mapping[Any, Point]], place: int, values: Sequence[Any]
) -> Iterator[tuple[str, Weights]]:
    """Of numbers the trend and each step; of names each over the first, or over the reference's."""
    if axis.are_numbers(values) and len(values) > 2:
        by_ratio = axis.are_ratios(values)
        over = "each doubling" if by_ratio else "a straight line"
        yield f"{over} from {axis.text(values[0])} to {axis.text(values[-1])}", _slope(strata, place, by_ratio)
        pairs = list(pairwise(values))
    else:
        reference = comparison.reference.row
        first = values[:1] if reference is None else [reference.point[place]]
        pairs = [(one, value) for one in first for value in values if value != one]
    for before, after in pairs:
        yield f"{axis.text(after)} over {axis.text(before)}", _step(strata, before, after)


def _strata(points: Sequence[Point], place: int) -> list[Mapping[Any, Point]]:
    """Points by their value on one axis, for each way the other axes stand."""
    strata: dict[Point, dict[Any, Point]] = defaultdict(dict)
    for point in points:
        strata[_rest(point, place)][point[place]] = point
    return list(strata.values())


def _step(strata: Sequence[Mapping[Any, Point]], before: Any, after: Any) -> Weights:
    """The mean over the strata that have both values of the one minus the other."""
    both = [stratum for stratum in strata if before in stratum and after in stratum]
    return {stratum[value]: sign / len(both) for stratum in both for value, sign in ((after, 1.0), (before, -1.0))}


def _slope(strata: Sequence[Mapping[Any, Point]], place: int, by_ratio: bool) -> Weights:
    """Least squares with one slope for all strata and a level for each: the weights whose sum is that slope.

    Of numbers it is a doubling's; of others what the line rises by from the smallest to the largest.
    """
    usable = [stratum for stratum in strata if len(stratum) > 1]
    at = {point: log2(point[place]) if by_ratio else float(point[place]) for one in usable for point in one.values()}
    centred = {
        point: at[point] - sum(at[other] for other in stratum.values()) / len(stratum)
        for stratum in usable
        for point in stratum.values()
    }
    squares = sum(value**2 for value in centred.values())
    unit = 1.0 if by_ratio or not at else max(at.values()) - min(at.values())
    return {point: unit * value / squares for point, value in centred.items()}


def _rest(point: Point, place: int) -> Point:
    return point[:place] + point[place + 1 :]
