"""The figures of a report, each with one sentence that says what it means.

In: a comparison. Out: `Figure`s: SVG, a title, a caption with units. A figure whose data are not there is left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from crescent.evaluation.statistics import Estimate
from crescent.records import Ballot, TrainStep
from crescent.reporting import axes as axis
from crescent.reporting.axes import Point
from crescent.reporting.details import lines_of
from crescent.reporting.drawing import INK, MUTED, PAPER, WIDE, WIDTH, draw, label_rows, series
from crescent.reporting.results import Comparison
from crescent.reporting.rows import Column, Row
from crescent.reporting.tables import scale

ROW_HEIGHT = 0.26
MOST_COLOURS = 6
STYLES = ("-", "--", ":", "-.")
SPENT = (("elicit", "questions"), ("diversify", "rewrites"), ("answer", "answers"), ("finetune", "trained on"))


@dataclass(frozen=True, slots=True)
class Figure:
    """One or more panels under a title. `key` names the colours, where panels have no room to."""

    title: str
    caption: str
    panels: tuple[str, ...]
    key: tuple[str, ...] = ()


def short_labels(rows: Sequence[Row]) -> list[str]:
    """Labels without their keys where that leaves them clear: "none · 3"."""
    if rows and all(row.point for row in rows):
        return [" · ".join(axis.text(value) for value in row.point) for row in rows]
    return [row.label for row in rows]


def accuracy(comparison: Comparison) -> list[Figure]:
    """Per axis: the scores at each of its values. Without axes: before and after."""
    if not comparison.columns:
        return []
    if not comparison.axes:
        if comparison.runs[0].last_iteration > 1:
            return [_by_iteration(comparison)]
        found = {row.role for row in comparison.rows}
        return [_before_after(comparison)] if "base" in found and len(comparison.students) == 1 else []
    return [_per_axis(comparison, place) for place in range(len(comparison.axes))]


def differences(comparison: Comparison) -> list[Figure]:
    """All differences with their intervals, one panel for each task."""
    panels = []
    if len(comparison.students) == 1:
        [row] = comparison.students
        columns = [column for column in comparison.columns if column in row.cells and row.cells[column].difference]
        panels = [_forest("", [(column.name, column, row) for column in columns], comparison)] if columns else []
    else:
        for column in comparison.columns:
            rows = [row for row in comparison.students if column in row.cells and row.cells[column].difference]
            lines = [(name, column, row) for name, row in zip(short_labels(rows), rows, strict=True)]
            panels += [_forest(column.name, lines, comparison)] if rows else []
    caption = (
        f"Percentage points over {comparison.reference}, with 95 % intervals. Filled: significant after correction for "
        f"all {comparison.differences} differences. An interval that crosses the line allows no difference at all."
    )
    return [Figure("Differences", caption, tuple(panels))] if panels else []


def cost(comparison: Comparison) -> list[Figure]:
    """What the data of a configuration were and cost, means over its seeds."""
    rows = comparison.students
    counts = [[_mean(row, "diversify", "records"), _mean(row, "vote", "records")] for row in rows]
    tokens = [[_mean(row, stage, "tokens") for stage, _ in SPENT] for row in rows]
    names, height = short_labels(rows), 1.0 + ROW_HEIGHT * len(rows) * 1.4

    def paint_counts(axes: Any) -> None:
        label_rows(axes, names)
        for number, (what, shift) in enumerate((("questions kept", -0.2), ("training pairs", 0.2))):
            places = [at + shift for at in range(len(rows))]
            axes.barh(places, [one[number] for one in counts], 0.36, color=series(number), label=what)
        axes.set_xlabel("number")
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0)

    def paint_tokens(axes: Any) -> None:
        label_rows(axes, names)
        left = [0.0] * len(rows)
        for number, (_, what) in enumerate(SPENT):
            values = [one[number] / 1e3 for one in tokens]
            axes.barh(range(len(rows)), values, 0.6, left=left, color=series(number), label=what)
            left = [a + b for a, b in zip(left, values, strict=True)]
        axes.set_xlabel("thousand tokens")
        axes.legend(
            loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0, columnspacing=0.9, handlelength=1
        )

    caption = (
        "Questions kept after diversification and the pairs that the vote left of them; tokens that the "
        "model generated "
        "for questions, rewrites and answers, and target tokens it was trained on. Work found in the store counts too."
    )
    panels = (draw("Questions and pairs", paint_counts, height), draw("Tokens by stage", paint_tokens, height))
    return [Figure("Pairs and tokens", caption, panels)]


def diversity(comparison: Comparison) -> list[Figure]:
    """Before and after diversification, in three measures."""
    measures = (
        ("nearest_mean", "mean cosine to the nearest other", "lower is more diverse"),
        ("vendi", "effective number of questions (Vendi)", "higher is more diverse"),
        ("largest_cluster", "share of the largest cluster", "lower is more diverse"),
    )
    rows = [row for row in comparison.students if _info(row, "diversify", "before/vendi") is not None]
    if not rows:
        return []
    names, panels = short_labels(rows), []
    for measure, label, direction in measures:
        values = [
            (_info(row, "diversify", f"before/{measure}"), _info(row, "diversify", f"after/{measure}")) for row in rows
        ]

        def paint(axes: Any, values: Any = values, label: str = label, direction: str = direction) -> None:
            label_rows(axes, names)
            for at, (before, after) in enumerate(values):
                axes.plot([before, after], [at, at], color=MUTED, linewidth=1)
                axes.plot(before, at, "o", mfc=PAPER, mec=series(0), ms=6, label="as asked" if at == 0 else None)
                axes.plot(after, at, "o", color=series(0), ms=6, label="as kept" if at == 0 else None)
            axes.margins(x=0.12)
            axes.set_xlabel(f"{label}\n{direction}")
            axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0)

        panels.append(draw(label, paint, 1.1 + ROW_HEIGHT * len(rows)))
    caption = (
        "The first questions that the model asked, and as many that were kept: hollow before, filled after. "
        "Cosines are "
        "of sentence embeddings, so texts of one template lie close even where their numbers differ."
    )
    return [Figure("Diversity of the questions", caption, tuple(panels))]


def votes(comparison: Comparison) -> list[Figure]:
    """How the draws agreed, and whether agreement means being right."""
    rows = [row for row in comparison.students if lines_of(row.runs[0].stage_folder("vote"), "ballots.jsonl", Ballot)]
    panels = []
    if rows:
        panels.append(draw("Agreement of the draws", lambda axes: _agreement(axes, rows)))
    known = [row for row in comparison.students if row.runs[0].labels]
    if known:
        panels.append(draw("Calibration of the vote", lambda axes: _calibration(axes, known)))
    caption = (
        "How many questions reached which agreement (votes of the winner / draws). Calibration, where the "
        "true answer is "
        "known: of the labels with that agreement, how many are right; on the dotted line agreement is a probability."
    )
    return (
        [Figure("Votes", caption if known else caption.partition(" Calibration")[0], tuple(panels))] if panels else []
    )


def training(comparison: Comparison) -> list[Figure]:
    """The loss of every optimiser step."""
    curves = [
        (row, lines_of(row.runs[0].stage_folder("finetune"), "records.jsonl", TrainStep)) for row in comparison.students
    ]
    curves = [(row, steps) for row, steps in curves if steps]
    if not curves:
        return []
    drawn = [row for row, _ in curves]

    def paint(axes: Any) -> None:
        for (_, steps), (color, style) in zip(curves, _strokes(drawn), strict=True):
            xs, ys = [step.step for step in steps], [step.loss for step in steps]
            axes.plot(xs, ys, linestyle=style, color=color, linewidth=1.3)
        axes.set_xlabel("optimiser step")
        axes.set_ylabel("nats per target token")
        axes.set_ylim(bottom=0)

    caption = (
        "Training loss of each step over its own target tokens (the responses), of the first seed. A loss near zero "
        "from the start says that the student already writes such responses: there is little to learn from them."
    )
    panel = draw("Training loss by step", paint, 2.5, width=WIDE)
    return [Figure("Training", caption + _styles_caption(drawn), (panel,), _key(comparison, drawn))]


def _before_after(comparison: Comparison) -> Figure:
    [student] = comparison.students
    base = next(row for row in comparison.rows if row.role == "base")
    columns = [one for one in comparison.columns if one in base.cells and one in student.cells]

    def paint(axes: Any) -> None:
        label_rows(axes, [column.name for column in columns])
        for at, column in enumerate(columns):
            factor = scale(comparison, column)
            for row, shift, face, name in ((base, -0.13, PAPER, "before"), (student, 0.13, series(0), "after")):
                _interval(axes, row.cells[column].score, at + shift, factor, series(0), face, name if at == 0 else None)
        axes.set_xlabel("percent right")
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0)

    caption = (
        "Each score with its own 95 % interval. Differences are surer than these intervals suggest, because the same "
        "questions are compared: see the table."
    )
    return Figure(
        "Before and after", caption, (draw("Scores before and after", paint, 1 + 0.36 * len(columns), width=WIDE),)
    )


def _by_iteration(comparison: Comparison) -> Figure:
    """Scores of the first run over its passes of self-improvement; pass 0 is the base."""
    run = comparison.runs[0]

    def paint(axes: Any, column: Column) -> None:
        factor = scale(comparison, column)
        for at in range(run.last_iteration + 1):
            for score in run.scores:
                model = "student" if at else "base"
                place = (score.model, score.iteration, score.task, score.shots)
                if score.primary and place == (model, at, column.task, column.shots):
                    value, half = factor * score.value, factor * 1.96 * score.stderr
                    axes.plot([at, at], [value - half, value + half], color=series(0), linewidth=1.3)
                    axes.plot(at, value, "o", color=series(0), ms=5)
        axes.set_xticks(range(run.last_iteration + 1))
        axes.set_xlabel("pass of self-improvement")
        axes.set_ylabel("percent right" if factor == 100 else column.task)
        axes.set_title(column.name)

    panels = [
        draw(f"{column.name} by pass", lambda axes, column=column: paint(axes, column)) for column in comparison.columns
    ]
    caption = (
        "Scores after each pass, with 95 % intervals of their own; pass 0 is the model before training. The table "
        "compares the last pass with pass 0."
    )
    return Figure("Pass by pass", caption, tuple(panels))


def _per_axis(comparison: Comparison, place: int) -> Figure:
    """One panel for each task: dots are configurations, the bar is their mean, the dashed line the base."""
    name = axis.short(comparison.axes[place])
    rests = list(dict.fromkeys(_rest(row, place) for row in comparison.students))
    panels = [
        draw(
            f"{column.name} by {name}", lambda axes, column=column: _axis_panel(axes, comparison, column, place, rests)
        )
        for column in comparison.columns
    ]
    others = tuple(one for at, one in enumerate(comparison.axes) if at != place)
    key = tuple(axis.label(others, rest) for rest in rests) if others else ()
    caption = (
        f"Scores of the students by {name}, percent right. Dots: configurations with 95 % intervals; bars: their mean; "
        "dashed line: the base before training. Where bars differ less than dots of one colour do, the axis "
        "may do nothing."
    )
    return Figure(f"Accuracy by {name}", caption, tuple(panels), key)


def _axis_panel(axes: Any, comparison: Comparison, column: Column, place: int, rests: Sequence[Point]) -> None:
    factor = scale(comparison, column)
    rows = [row for row in comparison.students if column in row.cells]
    values = list(dict.fromkeys(row.point[place] for row in rows))
    for at, value in enumerate(values):
        here = [row for row in rows if row.point[place] == value]
        mean = factor * sum(row.cells[column].score.value for row in here) / len(here)
        axes.plot([at - 0.33, at + 0.33], [mean, mean], color=INK, linewidth=1.8, solid_capstyle="butt")
        for row in here:
            number, score = rests.index(_rest(row, place)), row.cells[column].score
            x = at + 0.6 * ((number + 0.5) / len(rests) - 0.5)
            axes.plot([x, x], [factor * score.low, factor * score.high], color=series(number), linewidth=1.3)
            axes.plot(x, factor * score.value, "o", color=series(number), ms=4)
    for row in comparison.rows:
        if row.role == "base" and column in row.cells:
            axes.axhline(factor * row.cells[column].score.value, color=MUTED, linestyle=(0, (4, 3)), linewidth=1)
    axes.set_xticks(range(len(values)), [axis.text(value) for value in values])
    axes.set_xlim(-0.6, len(values) - 0.4)
    axes.grid(axis="x", visible=False)
    axes.set_ylabel("percent right" if factor == 100 else column.task)
    axes.set_title(column.name)


def _rest(row: Row, place: int) -> Point:
    """A row's point on the other axes."""
    return tuple(value for at, value in enumerate(row.point) if at != place)


def _forest(title: str, lines: Sequence[tuple[str, Column, Row]], comparison: Comparison) -> str:
    """One line for each difference, by name."""

    def paint(axes: Any) -> None:
        label_rows(axes, [name for name, _, _ in lines])
        axes.axvline(0, color=MUTED, linewidth=1)
        for at, (_, column, row) in enumerate(lines):
            cell, factor = row.cells[column], scale(comparison, column)
            found = cell.difference
            assert found is not None
            shown = Estimate(found.value, found.stderr, found.low, found.high, 0, 0, 0)
            _interval(axes, shown, at, factor, series(0), series(0) if cell.stars else PAPER, None)
        axes.set_xlabel("points")
        if title:
            axes.set_title(title)

    width = WIDTH if title else WIDE
    return draw(f"Differences {title}".strip(), paint, 0.85 + ROW_HEIGHT * len(lines), width=width)


def _interval(axes: Any, found: Estimate, at: float, factor: float, color: str, face: str, name: str | None) -> None:
    axes.plot([factor * found.low, factor * found.high], [at, at], color=color, linewidth=1.3)
    axes.plot(factor * found.value, at, "o", mfc=face, mec=color, ms=5.5, label=name)


def _agreement(axes: Any, rows: Sequence[Row]) -> None:
    """Bars for one configuration, steps for several."""
    edges = [number / 10 for number in range(11)]
    for row, (color, style) in zip(rows, _strokes(rows), strict=True):
        ballots = lines_of(row.runs[0].stage_folder("vote"), "ballots.jsonl", Ballot)
        values = [min(ballot.agreement, 0.999) for ballot in ballots]
        if len(rows) == 1:
            axes.hist(values, bins=edges, color=color, rwidth=0.9)
        else:
            axes.hist(values, bins=edges, color=color, histtype="step", linewidth=1.4, linestyle=style)
    axes.set_xlabel("agreement of the draws")
    axes.set_ylabel("questions")


def _calibration(axes: Any, rows: Sequence[Row]) -> None:
    axes.plot([0, 1], [0, 1], color=MUTED, linestyle=":", linewidth=1.2)
    for row, (color, style) in zip(rows, _strokes(rows), strict=True):
        bins = row.runs[0].labels[-1]["bins"]
        most = max((one["questions"] for one in bins), default=1)
        xs, ys = [one["agreement"] for one in bins], [one["right"] for one in bins]
        axes.plot(xs, ys, color=color, linestyle=style, linewidth=1.2)
        axes.scatter(xs, ys, s=[12 + 50 * one["questions"] / most for one in bins], color=color)
    axes.set_xlim(0, 1.04)
    axes.set_ylim(0, 1.04)
    axes.set_xlabel("agreement of the draws")
    axes.set_ylabel("share of right labels")


def _strokes(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """A colour and a line style for each row: up to six have a colour each, of more the first axis chooses it."""
    if len(rows) <= MOST_COLOURS:
        return [(series(number), "-") for number in range(len(rows))]
    first = list(dict.fromkeys(row.point[:1] for row in rows))
    rest = list(dict.fromkeys(row.point[1:] for row in rows))
    return [(series(first.index(row.point[:1])), STYLES[rest.index(row.point[1:]) % len(STYLES)]) for row in rows]


def _styles_caption(rows: Sequence[Row]) -> str:
    return " Line styles: the other axes." if len(rows) > MOST_COLOURS else ""


def _key(comparison: Comparison, rows: Sequence[Row]) -> tuple[str, ...]:
    """The names of the colours of `_strokes`."""
    if len(rows) <= MOST_COLOURS:
        return tuple(short_labels(rows)) if len(rows) > 1 else ()
    return tuple(axis.label(comparison.axes[:1], point) for point in dict.fromkeys(row.point[:1] for row in rows))


def _mean(row: Row, stage: str, name: str) -> float:
    """Mean over the seeds of what all iterations of a stage came to."""
    values = [sum(one[name] for one in run.stages if one["stage"] == stage) for run in row.runs]
    return sum(values) / len(values)


def _info(row: Row, stage: str, name: str) -> float | None:
    """Mean over the seeds of a counter of a stage's last iteration."""
    reports = [run.stage(stage) for run in row.runs]
    values = [report["info"][name] for report in reports if report and name in report["info"]]
    return sum(values) / len(values) if values else None
