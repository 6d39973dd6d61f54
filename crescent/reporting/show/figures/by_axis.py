"""Scores by one axis of an ablation: a curve for numbers, groups of marks for names."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log
from typing import Any

from crescent.reporting.analyse import axes as axis
from crescent.reporting.analyse.axes import Point
from crescent.reporting.analyse.results import Comparison
from crescent.reporting.analyse.rows import Column, Row
from crescent.reporting.show.drawing import INK, MUTED, PAPER, Stroke, draw, interval_at, strokes
from crescent.reporting.show.figures.figure import (
    Figure,
    base_of,
    key_of,
    mean,
    panel_title,
    panels_of,
    unit,
    values_of,
)
from crescent.reporting.show.tables import scale

MEANINGS = {
    "dedup.max_rewrites": "rewrites before a question is dropped",
    "dedup.min_cosine": "cosine from which questions are duplicates",
    "iterations": "iterations of self-improvement",
    "num_questions": "questions",
    "source.num_pairs": "training pairs",
    "train.epochs": "epochs",
    "vote.confidence": "probability at which drawing stops",
    "vote.draws": "answers drawn per question",
    "vote.min_agreement": "least agreement, share of draws",
}
"""What the numbers of a setting count, with their unit."""
MOST_TICKS = 6
"""Numbers on an axis; of more, every second or third."""
WIDEST = 50
"""Letters of a label below a panel."""
NAMES = "Marks: configurations with 95 % intervals; bars: their mean. If bars differ less than marks do, "
NAMES += "the axis may have no effect."
NUMBERS = "Marks: configurations with 95 % intervals; a line joins those with equal other settings."
PALE = "Small marks: configurations, too many to name; thick: their mean. The table has them all."
ONE_BASE = " Dashed: the base before training, with the plain prompt."
OWN_BASES = " Hollow: each configuration's own base before training, with the plain prompt."


@dataclass(frozen=True, slots=True)
class Scale:
    """Positions of an axis's values: numbers on a linear or logarithmic scale, or names side by side."""

    values: tuple[Any, ...]
    numeric: bool
    ratios: bool

    def place(self, value: Any, number: int, of: int) -> float:
        """The position of a value, shifted slightly for series `number` of `of`, so that intervals do not overlap."""
        aside = (number + 0.5) / of - 0.5
        if not self.numeric:
            return self.values.index(value) + 0.6 * aside
        first, last = (self._at(one) for one in (self.values[0], self.values[-1]))
        moved = self._at(value) + 0.05 * aside * (last - first)
        return exp(moved) if self.ratios else moved

    def _at(self, value: float) -> float:
        return log(value) if self.ratios else value


def scale_of(values: Sequence[Any]) -> Scale:
    """A scale for `values`, which are in order."""
    numeric = axis.are_numbers(values)
    return Scale(tuple(values), numeric, numeric and axis.are_ratios(values))


def by_axis(comparison: Comparison, place: int) -> Figure:
    """A figure with one panel per task."""
    name = axis.short(comparison.axes[place])
    students = comparison.students
    across = scale_of(list(dict.fromkeys(row.point[place] for row in students)))
    rests = list(dict.fromkeys(_rest(row, place) for row in students))
    panels, parts = panels_of(
        comparison.columns,
        lambda column: draw(
            f"{column.name} by {name}",
            lambda axes: _panel(axes, comparison, column, place, across, rests),
            height=2.4 if across.numeric else 2.2,
        ),
    )
    others = tuple(one for at, one in enumerate(comparison.axes) if at != place)
    alike = all(len(_bases(comparison, column)) < 2 for column in comparison.columns)
    pale = _are_pale(across, rests)
    caption = f"Scores of the students by {name}. {(NUMBERS if across.numeric else NAMES) if not pale else PALE}"
    caption += ONE_BASE if alike else OWN_BASES
    key = () if pale else key_of([axis.label(others, rest) for rest in rests])
    return Figure(f"Accuracy by {name}", caption, panels, key, parts)


def _panel(
    axes: Any, comparison: Comparison, column: Column, place: int, across: Scale, rests: Sequence[Point]
) -> None:
    factor, bases = scale(comparison, column), _bases(comparison, column)
    rows = [row for row in comparison.students if column in row.cells]
    if across.ratios:
        axes.set_xscale("log")
    for number, (rest, own) in enumerate(zip(rests, _strokes(across, rests), strict=True)):
        line = []
        for row in (row for row in rows if _rest(row, place) == rest):
            x, score = across.place(row.point[place], number, len(rests)), row.cells[column].score
            interval_at(axes, score, x, factor, own, size=5)
            line.append((x, factor * score.value))
            if len(bases) > 1 and (before := mean(values_of(comparison, base_of(row), column))) is not None:
                axes.plot(x, factor * before, own.marker, mfc=PAPER, mec=own.color, ms=5)
        if across.numeric and line:
            axes.plot(*zip(*line, strict=True), color=own.color, linestyle=own.line, linewidth=own.width)
    if len(bases) == 1:
        axes.axhline(factor * bases.pop(), color=MUTED, linestyle=(0, (4, 3)), linewidth=1)
    scores = [(row.point[place], factor * row.cells[column].score.value) for row in rows]
    if not across.numeric:
        _means(axes, scores, across)
    elif _are_pale(across, rests):
        middles = [(value, mean([score for one, score in scores if one == value])) for value in across.values]
        known = [(value, middle) for value, middle in middles if middle is not None]
        axes.plot(*zip(*known, strict=True), color=INK, linewidth=2)
    _ticks(axes, comparison.axes[place], across)
    axes.set_ylabel(unit(comparison, column))
    axes.set_title(panel_title(column))


def _strokes(across: Scale, rests: Sequence[Point]) -> list[Stroke]:
    return strokes(len(rests), len(rests) * len(across.values))


def _are_pale(across: Scale, rests: Sequence[Point]) -> bool:
    return _strokes(across, rests)[0].width < 1


def _means(axes: Any, scores: Sequence[tuple[Any, float]], across: Scale) -> None:
    """Draws a bar for the mean score of each name."""
    for at, value in enumerate(across.values):
        middle = mean([score for one, score in scores if one == value])
        if middle is not None:
            axes.plot([at - 0.33, at + 0.33], [middle] * 2, color=INK, linewidth=1.8, solid_capstyle="butt", zorder=1)


def _ticks(axes: Any, key: str, across: Scale) -> None:
    """Draws a tick at each value, and labels numbers with what they count."""
    every = 1 + (len(across.values) - 1) // MOST_TICKS if across.numeric else 1
    labels = [axis.text(value) for value in across.values[::every]]
    axes.set_xticks(across.values[::every] if across.numeric else range(len(labels)), labels)
    axes.set_xticks([], minor=True)
    if across.numeric:
        meaning = MEANINGS.get(key)
        label = f"{meaning} ({key})" if meaning else key
        axes.set_xlabel(label if len(label) <= WIDEST else label.replace(" (", "\n("))
        return
    axes.set_xlim(-0.6, len(labels) - 0.4)
    axes.grid(axis="x", visible=False)
    if len(labels) * max(map(len, labels)) > 36:  # they would overlap
        axes.tick_params(axis="x", labelrotation=30)
        for label in axes.get_xticklabels():
            label.set_horizontalalignment("right")


def _bases(comparison: Comparison, column: Column) -> set[float]:
    """The scores of the students' own bases, rounded: a single value if all started from the same model."""
    found = (mean(values_of(comparison, base_of(row), column)) for row in comparison.students)
    return {round(value, 6) for value in found if value is not None}


def _rest(row: Row, place: int) -> Point:
    """A row's point on the other axes."""
    return tuple(value for at, value in enumerate(row.point) if at != place)
