"""Scores by iteration: each configuration's mean over seeds, and their range."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from crescent.reporting.analyse.results import Comparison
from crescent.reporting.analyse.rows import Column, Row, score_of
from crescent.reporting.show.drawing import MANY, draw, strokes
from crescent.reporting.show.figures.figure import (
    Figure,
    base_of,
    key_of,
    mean,
    panel_title,
    panels_of,
    short_labels,
    unit,
    unnamed,
    values_of,
)
from crescent.reporting.show.tables import scale

SEVERAL = "Mean over the seeds after each iteration; the vertical line spans from the lowest seed to the highest."
ONE = "Scores after each iteration, each with its own 95 % interval."
CAPTION = " Iteration 0 is the model before training, with the plain prompt; the table compares the last one with it."


def iterations(comparison: Comparison) -> list[Figure]:
    """The figure; empty if all runs have a single iteration."""
    rows = [row for row in comparison.students if any(run.last_iteration > 1 for run in row.runs)]
    if not rows:
        return []
    panels, parts = panels_of(
        comparison.columns,
        lambda column: draw(f"{column.name} by iteration", lambda axes: _paint(axes, comparison, column, rows)),
    )
    caption = (SEVERAL if any(len(row.runs) > 1 for row in rows) else ONE) + CAPTION + unnamed(len(rows))
    return [Figure("By iteration", caption, panels, key_of(short_labels(comparison, rows)), parts)]


def _paint(axes: Any, comparison: Comparison, column: Column, rows: Sequence[Row]) -> None:
    factor, last = scale(comparison, column), max(row.iteration for row in rows)
    for number, (row, own) in enumerate(zip(rows, strokes(len(rows)), strict=True)):
        shift = 0.06 * (number - (len(rows) - 1) / 2) if len(rows) <= MANY else 0.0
        xs, ys = [], []
        for at in range(row.iteration + 1):
            here = base_of(row) if at == 0 else replace(row, iteration=at)
            middle = mean(values_of(comparison, here, column))
            if middle is None:
                continue
            low, high = _spread(comparison, here, column)
            axes.plot([at + shift] * 2, [factor * low, factor * high], color=own.color, linewidth=own.width)
            xs.append(at + shift)
            ys.append(factor * middle)
        axes.plot(xs, ys, color=own.color, linestyle=own.line, linewidth=own.width, marker=own.marker, ms=5)
    axes.set_xticks(range(last + 1))
    axes.set_xlabel("iteration")
    axes.set_ylabel(unit(comparison, column))
    axes.set_title(panel_title(column))


def _spread(comparison: Comparison, row: Row, column: Column) -> tuple[float, float]:
    """The range of the seeds; for one seed the 95 % interval of its score."""
    if len(values := values_of(comparison, row, column)) > 1:
        return min(values), max(values)
    score = next(found for run in row.runs if (found := score_of(run, row, column, comparison.options.metric)))
    return score.value - 1.96 * score.stderr, score.value + 1.96 * score.stderr
