"""Main effects of an ablation, and trends over numbers: the effect of one setting with all others equal.

In: a `Comparison`. Out: an `Effect` for each value of an axis over another, and a trend if there are three or more
numbers. Rows that agree in every other setting form a stratum. An effect is a weighted sum of rows, within strata and
averaged over them, computed question by question and seed by seed: its interval is that of a paired difference.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import log2
from typing import Any

from crescent.reporting.analyse import axes as axis
from crescent.reporting.analyse.axes import Point
from crescent.reporting.analyse.contrast import Term, contrast
from crescent.reporting.analyse.results import Comparison
from crescent.reporting.analyse.rows import Column, Row
from crescent.statistics.paired import Difference

Stratum = Mapping[Any, Point]
"""At least two points that differ in one setting, by its value."""
Weights = Mapping[Point, float]
"""The weight of each row, by its point; the weights of a stratum sum to 0."""


@dataclass(frozen=True, slots=True)
class Effect:
    """`what` is "dedup: none over rejection" or "vote.draws: each doubling from 1 to 15"; `strata` is the number of
    strata used. A column is missing if too little was scored or samples are missing.
    """

    axis: str
    what: str
    differences: dict[Column, Difference] = field(default_factory=dict)
    strata: dict[Column, int] = field(default_factory=dict)


def effects(comparison: Comparison) -> list[Effect]:
    """The effects of every axis whose values were tried with all else equal; each column uses the rows that have it."""
    found: dict[tuple[int, str], Effect] = {}
    for column in comparison.columns:
        rows = {row.point: row for row in _students(comparison) if column in row.cells}
        for place, what, weights in _contrasts(comparison, list(rows)):
            difference = contrast(comparison, [Term(rows[at], weight) for at, weight in weights.items()], column)
            effect = found.setdefault((place, what), Effect(axis.short(comparison.axes[place]), what))
            if difference is not None:
                effect.differences[column] = difference
                effect.strata[column] = len({_rest(point, place) for point in weights})
    return [found[key] for key in sorted(found, key=lambda key: key[0])]


def never_varied_alone(comparison: Comparison) -> tuple[str, ...]:
    """The axes that vary, but never alone, so that their effects are unknown."""
    points = [row.point for row in _students(comparison)]
    return tuple(
        axis.short(name)
        for place, name in enumerate(comparison.axes)
        if len({point[place] for point in points}) > 1 and not _strata(points, place)
    )


def last_over_first(comparison: Comparison, row: Row, column: Column) -> Difference | None:
    """The student of the last iteration minus that of the first, over runs with both; None for a single iteration."""
    last = max(run.last_iteration for run in row.runs)
    return contrast(comparison, [Term(row, 1.0, last), Term(row, -1.0, 1)], column) if last > 1 else None


def _students(comparison: Comparison) -> list[Row]:
    """Students with the same prompting."""
    students = [row for row in comparison.students if row.cells]
    return [row for row in students if row.prompting == students[-1].prompting]


def _contrasts(comparison: Comparison, points: Sequence[Point]) -> Iterator[tuple[int, str, Weights]]:
    """Yields the index of the axis, the contrast's name, and its weights."""
    reference = comparison.reference.row
    for place, name in enumerate(comparison.axes):
        first = [] if reference is None else [reference.point[place]]
        for what, weights in _of_axis(_strata(points, place), place, first):
            yield place, f"{axis.short(name)}: {what}", weights


def _of_axis(strata: Sequence[Stratum], place: int, first: Sequence[Any]) -> Iterator[tuple[str, Weights]]:
    """For numbers the trend, and each over the next smaller; for names each over `first`, or the first possible
    other.
    """
    numbered = _where_set(strata)
    numbers = _values(numbered)
    pairs: list[tuple[Any, Any] | None] = []
    if axis.are_numbers(numbers) and len(numbers) > 2:
        by_ratio = axis.are_ratios(numbers)
        over = "each doubling" if by_ratio else "a straight line"
        yield f"{over} from {axis.text(numbers[0])} to {axis.text(numbers[-1])}", _slope(numbered, place, by_ratio)
        pairs += [_pair(numbered, value, numbers[:at][::-1]) for at, value in enumerate(numbers)]
        done = numbers
    else:
        done = [value for value in first if value in _values(strata)]
    order = list(dict.fromkeys([*done, *_values(strata)]))
    pairs += [_pair(strata, value, order[:at]) for at, value in enumerate(order) if at >= len(done)]
    for before, after in filter(None, pairs):
        yield f"{axis.text(after)} over {axis.text(before)}", _step(strata, before, after)


def _strata(points: Sequence[Point], place: int) -> list[Stratum]:
    """Points by their value on one axis, for each combination of the other axes with at least two values."""
    strata: dict[Point, dict[Any, Point]] = defaultdict(dict)
    for point in points:
        strata[_rest(point, place)][point[place]] = point
    return [stratum for stratum in strata.values() if len(stratum) > 1]


def _where_set(strata: Sequence[Stratum]) -> list[Stratum]:
    """The strata without the points that lack the setting."""
    left = [{value: point for value, point in stratum.items() if value is not axis.ABSENT} for stratum in strata]
    return [stratum for stratum in left if len(stratum) > 1]


def _values(strata: Sequence[Stratum]) -> list[Any]:
    return sorted({value for stratum in strata for value in stratum}, key=lambda value: axis.order((value,)))


def _pair(strata: Sequence[Stratum], value: Any, others: Sequence[Any]) -> tuple[Any, Any] | None:
    """(other, value) with the first of `others` that shares a stratum with the value; None if there is none."""
    found = (other for other in others if any(other in stratum and value in stratum for stratum in strata))
    other = next(found, value)
    return None if other is value else (other, value)


def _step(strata: Sequence[Stratum], before: Any, after: Any) -> Weights:
    """Weights for the mean of `after` - `before` over the strata that have both values."""
    both = [stratum for stratum in strata if before in stratum and after in stratum]
    return {stratum[value]: sign / len(both) for stratum in both for value, sign in ((after, 1.0), (before, -1.0))}


def _slope(strata: Sequence[Stratum], place: int, by_ratio: bool) -> Weights:
    """Weights whose sum is the least-squares slope, with one slope for all strata and one level per stratum.

    On a logarithmic scale the unit is a doubling, else the range from the smallest to the largest value.
    """
    at = {point: log2(point[place]) if by_ratio else float(point[place]) for one in strata for point in one.values()}
    centred = {
        point: at[point] - sum(at[other] for other in stratum.values()) / len(stratum)
        for stratum in strata
        for point in stratum.values()
    }
    squares = sum(value**2 for value in centred.values())
    unit = 1.0 if by_ratio else max(at.values()) - min(at.values())
    return {point: unit * value / squares for point, value in centred.items() if abs(value) > 1e-9}


def _rest(point: Point, place: int) -> Point:
    return point[:place] + point[place + 1 :]
