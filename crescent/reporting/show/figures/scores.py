"""Scores: before and after, by each axis, and by iteration."""

from typing import Any

from crescent.reporting.analyse.results import Comparison
from crescent.reporting.analyse.rows import Column, Row
from crescent.reporting.show.drawing import PAPER, WIDE, draw, interval, label_rows, legend_above, series
from crescent.reporting.show.figures.by_axis import by_axis
from crescent.reporting.show.figures.figure import Figure, column_labels, unit
from crescent.reporting.show.figures.iterations import iterations
from crescent.reporting.show.tables import scale


def accuracy(comparison: Comparison) -> list[Figure]:
    """Scores by each axis, or before and after if there is none; then by iteration if there are several."""
    if not comparison.columns or not comparison.students:
        return []
    by_axes = [by_axis(comparison, place) for place in range(len(comparison.axes))]
    return [*(by_axes or _before_after(comparison)), *iterations(comparison)]


def _before_after(comparison: Comparison) -> list[Figure]:
    base = next((row for row in comparison.rows if (row.role, row.prompting) == ("base", "none")), None)
    if base is None or len(comparison.students) != 1:
        return []
    [student] = comparison.students
    groups: dict[str, list[Column]] = {}
    for column in comparison.columns:
        if column in base.cells and column in student.cells:
            groups.setdefault(unit(comparison, column), []).append(column)
    caption = (
        "Each score with its own 95 % interval. Differences are more certain than these intervals suggest, because the "
        "same questions are compared: see the table."
    )
    panels = tuple(_panel(comparison, base, student, columns, what) for what, columns in groups.items())
    return [Figure("Before and after", caption, panels)] if panels else []


def _panel(comparison: Comparison, base: Row, student: Row, columns: list[Column], what: str) -> str:
    """A panel for tasks of one unit, which share a scale."""

    def paint(axes: Any) -> None:
        label_rows(axes, column_labels(columns))
        for at, column in enumerate(columns):
            factor = scale(comparison, column)
            for row, shift, face, name in ((base, -0.13, PAPER, "before"), (student, 0.13, series(0), "after")):
                score = row.cells[column].score
                interval(axes, score, at + shift, factor, series(0), face, name if at == 0 else None)
        axes.set_xlabel(what)
        legend_above(axes)

    return draw("Scores before and after", paint, 1 + 0.36 * len(columns), width=WIDE)
