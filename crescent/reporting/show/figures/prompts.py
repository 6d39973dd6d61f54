"""Prompting against training: accuracy by tokens per question, for the base, each baseline and the student."""

from collections.abc import Sequence
from typing import Any

from crescent.reporting.analyse.results import Comparison
from crescent.reporting.analyse.rows import Column, Row
from crescent.reporting.show.drawing import draw, interval_at, stroke, token_scale
from crescent.reporting.show.figures.figure import Figure, asked_labels, key_of, panel_title, tokens_per_question, unit
from crescent.reporting.show.tables import scale

CAPTION = (
    "Accuracy with 95 % intervals against the tokens read and generated per question, all draws together. Higher is "
    "better, further left is cheaper to ask; the cost of training is under Pairs and tokens."
)


def prompting(comparison: Comparison) -> list[Figure]:
    """One panel for each task with a scored baseline and counted tokens."""
    series = _series(comparison)
    columns = [column for column in comparison.columns if _asked(comparison, column)]
    panels = tuple(
        draw(
            f"{column.name}: accuracy by tokens per question",
            lambda axes, column=column: _paint(axes, comparison, column, [rows for _, rows in series]),
            height=2.5,
        )
        for column in columns
    )
    return [Figure("Prompting or training", CAPTION, panels, key_of([name for name, _ in series]))] if panels else []


def _asked(comparison: Comparison, column: Column) -> bool:
    return any(
        row.prompting != "none" and column in row.cells and tokens_per_question(row, column) for row in comparison.rows
    )


def _series(comparison: Comparison) -> list[tuple[str, list[Row]]]:
    """Each base by its prompting, and all students as one series."""
    bases, students = [row for row in comparison.rows if row.role == "base"], list(comparison.students)
    named = list(zip(asked_labels(comparison, bases), ([row] for row in bases), strict=True))
    if not students:
        return named
    return [*named, ("after training" if len(students) == 1 else "after training, one mark each", students)]


def _paint(axes: Any, comparison: Comparison, column: Column, series: Sequence[Sequence[Row]]) -> None:
    factor = scale(comparison, column)
    for number, rows in enumerate(series):
        for row in rows:
            tokens = tokens_per_question(row, column)
            if tokens and column in row.cells:
                interval_at(axes, row.cells[column].score, tokens, factor, stroke(number), size=6)
    token_scale(axes)
    axes.set_xlabel("tokens per question")
    axes.set_ylabel(unit(comparison, column))
    axes.set_title(panel_title(column))
