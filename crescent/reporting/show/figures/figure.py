"""What all figures share: the `Figure` type, names and units, keys for strokes, means over seeds. Draws nothing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from crescent.reporting.analyse import axes as axis
from crescent.reporting.analyse.results import Comparison
from crescent.reporting.analyse.rows import Column, Row, score_of, weights_name
from crescent.reporting.read.runs import Run
from crescent.reporting.show.drawing import MANY, stroke, swatch
from crescent.reporting.show.tables import scale

Key = tuple[tuple[str, str], ...]
"""A swatch (SVG) and a name for each series."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One or more panels under a title. `parts` are panels for parts of tasks, shown separately. `key` names the
    strokes if panels have no room for it.
    """

    title: str
    caption: str
    panels: tuple[str, ...]
    key: Key = ()
    parts: tuple[str, ...] = ()


def short_labels(comparison: Comparison, rows: Sequence[Row]) -> list[str]:
    """Labels without keys that are clear from the value: "rejection · draws=3"."""

    def part(key: str, value: Any) -> str:
        name, text = axis.short(key), axis.text(value)
        return text if key != name else f"{name.rpartition('.')[2]}={text}"

    def label(row: Row) -> str:
        return " · ".join(part(key, value) for key, value in zip(comparison.axes, row.point, strict=True)) or row.label

    return [label(row) for row in rows]


def panels_of(columns: Sequence[Column], make: Callable[[Column], str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """A panel for each whole task, and one for each part of a task."""
    whole = [column for column in columns if not is_part(column, columns)]
    return tuple(map(make, whole)), tuple(make(column) for column in columns if column not in whole)


def is_part(column: Column, columns: Sequence[Column]) -> bool:
    """True if it scores a part of another column's items, as organism_plus/distractor_insertion of organism_plus."""
    whole, _, part = column.task.partition("/")
    return bool(part) and Column(whole, column.shots) in columns


def panel_title(column: Column) -> str:
    """The task, with a line break if it would be wider than a panel."""
    return column.name.replace("/", "/\n") if len(column.name) > 30 else column.name


def column_labels(columns: Sequence[Column]) -> list[str]:
    """Names of tasks without what all share: the shots, and for a part its task, which is above it."""
    one_shots = len({column.shots for column in columns}) == 1
    names = []
    for column in columns:
        name = f"· {column.task.partition('/')[2]}" if is_part(column, columns) else column.task
        names.append(name if one_shots else f"{name}, {column.shots}-shot")
    return names


def asked_labels(comparison: Comparison, rows: Sequence[Row]) -> list[str]:
    """The prompting of each row, with the model's name only if there are several models."""
    bases = {weights_name(run, "base") for run in comparison.runs}

    def name(row: Row) -> str:
        if row.role == "base" and len(bases) == 1:
            return "plain prompt" if row.prompting == "none" else row.prompting
        return "after training" if len(comparison.students) == 1 and row.role == "student" else row.label

    return [name(row) for row in rows]


def key_of(names: Sequence[str]) -> Key:
    """The key of series drawn with `strokes`; empty for a single series, and for more than can be told apart."""
    told_apart = 1 < len(names) <= MANY
    return tuple((swatch(stroke(number)), name) for number, name in enumerate(names)) if told_apart else ()


def unnamed(count: int) -> str:
    """A sentence for the caption of a figure whose series have no key; empty for few."""
    left_out = f" With {count} lines or marks, names and intervals are left out; the table has them."
    return left_out if count > MANY else ""


def unit(comparison: Comparison, column: Column) -> str:
    """The unit of a column's scores: percent right, or the metric's name."""
    metric = _metric(comparison, column)
    if scale(comparison, column) != 100:
        return metric
    return "percent right" if "acc" in metric or metric in ("exact_match", "pass@1") else f"{metric}, percent"


def difference_unit(comparison: Comparison, column: Column) -> str:
    """Points for shares, else the metric's name."""
    return "points" if scale(comparison, column) == 100 else _metric(comparison, column)


def base_of(row: Row) -> Row:
    """The row's own model before training, with the plain prompt."""
    return replace(row, role="base", iteration=0, prompting="none")


def values_of(comparison: Comparison, row: Row, column: Column) -> list[float]:
    """The score of each of the row's runs that has one."""
    found = (score_of(run, row, column, comparison.options.metric) for run in row.runs)
    return [score.value for score in found if score is not None]


def mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def info(row: Row, stage: str, name: str) -> float | None:
    """A counter of a stage's last iteration, mean over the seeds."""
    reports = [run.stage(stage) for run in row.runs]
    return mean([report["info"][name] for report in reports if report and name in report["info"]])


def total(row: Row, stage: str, name: str) -> float:
    """A stage's sum over all iterations, mean over the seeds with the most iterations; 0 without such a stage."""
    seen = [[one[name] for one in run.stages if one["stage"] == stage] for run in row.runs]
    furthest = max(map(len, seen))
    return mean([sum(values) for values in seen if values and len(values) == furthest]) or 0.0


def tokens_per_question(row: Row, column: Column) -> float | None:
    """Tokens read and generated per question, mean over the seeds; None if they were not counted."""
    return mean([value for run in row.runs if (value := _tokens(run, row, column)) is not None])


def _tokens(run: Run, row: Row, column: Column) -> float | None:
    read, written = (score_of(run, row, column, f"{name},none") for name in ("prompt_tokens", "new_tokens"))
    return None if read is None or written is None else read.value + written.value


def _metric(comparison: Comparison, column: Column) -> str:
    if comparison.options.metric is not None:
        return comparison.options.metric.partition(",")[0]
    scores = (score for run in comparison.runs for score in run.scores)
    return next(one.metric for one in scores if one.primary and (one.task, one.shots) == (column.task, column.shots))
