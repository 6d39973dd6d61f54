"""What goes with a better student: accuracy of its labels, and diversity of its questions."""

from collections.abc import Sequence
from typing import Any

from crescent.reporting.analyse.results import Comparison
from crescent.reporting.analyse.rows import Column, Row
from crescent.reporting.show.drawing import draw, few_ticks, interval_at, strokes
from crescent.reporting.show.figures.figure import Figure, info, key_of, mean, short_labels, unit, unnamed
from crescent.reporting.show.tables import scale

MIN_POINTS = 3
"""Minimum number of configurations for a scatter plot."""
CAPTION = (
    "{task}: one mark per configuration, means over its seeds, with the 95 % interval of its accuracy. If the marks "
    "rise from left to right, better students go with better labels, or with more diverse questions. That is no proof "
    "of cause: a setting may change both, and other things with them."
)


def explanations(comparison: Comparison) -> list[Figure]:
    """The first task's scores over label accuracy (if an oracle measured it) and over the Vendi score of the
    questions.
    """
    if not comparison.columns:
        return []
    column = comparison.columns[0]
    rows = [row for row in comparison.students if column in row.cells]
    measured = (
        ("labels that are right, percent", [_labels_right(row) for row in rows]),
        ("effective number of questions kept (Vendi)", [info(row, "diversify", "after/vendi") for row in rows]),
    )
    panels = tuple(
        draw(
            f"Accuracy by {what}",
            lambda axes, what=what, xs=xs: _paint(axes, comparison, column, rows, xs, what),
            height=2.4,
        )
        for what, xs in measured
        if sum(x is not None for x in xs) >= MIN_POINTS
    )
    caption = CAPTION.format(task=column.name) + unnamed(len(rows))
    return [Figure("What may explain it", caption, panels, key_of(short_labels(comparison, rows)))] if panels else []


def _labels_right(row: Row) -> float | None:
    """Percent, for the last iteration, mean over the seeds."""
    found = mean([run.labels[-1]["labels_right"] for run in row.runs if run.labels])
    return None if found is None else 100 * found


def _paint(
    axes: Any, comparison: Comparison, column: Column, rows: Sequence[Row], xs: Sequence[float | None], what: str
) -> None:
    factor = scale(comparison, column)
    for own, row, x in zip(strokes(len(rows)), rows, xs, strict=True):
        if x is not None:
            interval_at(axes, row.cells[column].score, x, factor, own, size=6)
    axes.margins(x=0.1)
    few_ticks(axes)
    axes.set_xlabel(what)
    axes.set_ylabel(unit(comparison, column))
