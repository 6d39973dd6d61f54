"""Differences with their intervals: one panel per task for several configurations, or per unit for one."""

from collections.abc import Sequence
from typing import Any

from crescent.reporting.analyse.results import Comparison
from crescent.reporting.analyse.rows import Column, Row
from crescent.reporting.show.drawing import MUTED, PAPER, WIDE, WIDTH, draw, interval, label_rows, series
from crescent.reporting.show.figures.figure import (
    ROW_HEIGHT,
    Figure,
    column_labels,
    difference_unit,
    panel_title,
    panels_of,
    short_labels,
)
from crescent.reporting.show.tables import scale

Line = tuple[str, Column, Row]


def differences(comparison: Comparison) -> list[Figure]:
    """All differences, in one panel per task, or per unit if there is only one configuration."""
    if len(comparison.students) == 1:
        panels, parts = _of_one(comparison, comparison.students[0]), ()
    else:
        known = [column for column in comparison.columns if _compared(comparison, column)]
        panels, parts = panels_of(known, lambda column: _of_several(comparison, column))
    caption = (
        f"Differences to {comparison.reference.label}, with 95 % intervals. Filled: significant after correction for "
        f"all {comparison.differences} differences of whole tasks, and for all {comparison.part_differences} of parts. "
        "An interval that crosses the line is compatible with no difference."
    )
    return [Figure("Differences", caption, panels, parts=parts)] if panels else []


def _of_one(comparison: Comparison, row: Row) -> tuple[str, ...]:
    """One panel per unit, shared by all its tasks."""
    groups: dict[str, list[Column]] = {}
    for column in comparison.columns:
        if column in row.cells and row.cells[column].difference:
            groups.setdefault(difference_unit(comparison, column), []).append(column)
    return tuple(
        _forest("", [(name, one, row) for name, one in zip(column_labels(found), found, strict=True)], comparison, unit)
        for unit, found in groups.items()
    )


def _compared(comparison: Comparison, column: Column) -> list[Row]:
    return [row for row in comparison.students if column in row.cells and row.cells[column].difference]


def _of_several(comparison: Comparison, column: Column) -> str:
    rows = _compared(comparison, column)
    lines = [(name, column, row) for name, row in zip(short_labels(comparison, rows), rows, strict=True)]
    return _forest(panel_title(column), lines, comparison, difference_unit(comparison, column))


def _forest(title: str, lines: Sequence[Line], comparison: Comparison, unit: str) -> str:
    """Draws one line per difference, labelled by name."""

    def paint(axes: Any) -> None:
        label_rows(axes, [name for name, _, _ in lines])
        axes.axvline(0, color=MUTED, linewidth=1)
        for at, (_, column, row) in enumerate(lines):
            cell, factor = row.cells[column], scale(comparison, column)
            assert cell.difference is not None
            interval(axes, cell.difference, at, factor, series(0), series(0) if cell.stars else PAPER)
        axes.set_xlabel(unit)
        if title:
            axes.set_title(title)

    width = WIDTH if title else WIDE
    return draw(f"Differences {title}".replace("\n", "").strip(), paint, 0.85 + ROW_HEIGHT * len(lines), width=width)
