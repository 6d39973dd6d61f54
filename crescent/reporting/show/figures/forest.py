"""Differences with their intervals: one panel per task for several configurations, or per unit for one."""

from collections.abc import Sequence
from typing import Any

from crescent.reporting.analyse.results import Comparison
from crescent.reporting.analyse.rows import Column, Row
from crescent.reporting.show.drawing import (
    MANY_ROWS,
    MUTED,
    PAPER,
    WIDE,
    WIDTH,
    draw,
    interval,
    label_rows,
    rows_height,
    series,
)
from crescent.reporting.show.figures.figure import (
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
        f"all {comparison.differences} differences of whole tasks{_of_parts(comparison)}. "
        "An interval that crosses the line is compatible with no difference."
    )
    return [Figure("Differences", caption, panels, parts=parts)] if panels else []


def _of_parts(comparison: Comparison) -> str:
    return f", and for all {comparison.part_differences} of parts" if comparison.part_differences else ""


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
    if len(lines) > MANY_ROWS:  # nameless rows: sorted, they show the spread
        lines.sort(key=lambda line: -_value(line))
    return _forest(panel_title(column), lines, comparison, difference_unit(comparison, column))


def _value(line: Line) -> float:
    _, column, row = line
    found = row.cells[column].difference
    assert found is not None
    return found.value


def _forest(title: str, lines: Sequence[Line], comparison: Comparison, unit: str) -> str:
    """Draws one line per difference, labelled by name."""

    def paint(axes: Any) -> None:
        label_rows(axes, [name for name, _, _ in lines], of="configurations, the largest difference on top")
        axes.axvline(0, color=MUTED, linewidth=1)
        for at, (_, column, row) in enumerate(lines):
            cell, factor = row.cells[column], scale(comparison, column)
            assert cell.difference is not None
            face, size = series(0) if cell.stars else PAPER, 5.5 if len(lines) <= MANY_ROWS else 3.0
            interval(axes, cell.difference, at, factor, series(0), face, size=size)
        axes.set_xlabel(unit)
        if title:
            axes.set_title(title)

    width = WIDTH if title else WIDE
    return draw(f"Differences {title}".replace("\n", "").strip(), paint, 0.85 + rows_height(len(lines)), width=width)
