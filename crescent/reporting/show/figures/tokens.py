"""Questions, pairs and token costs of each configuration."""

from typing import Any

from crescent.reporting.analyse.results import Comparison
from crescent.reporting.show.drawing import draw, label_rows, legend_above, rows_height, series
from crescent.reporting.show.figures.figure import Figure, short_labels, total

SPENT = (("elicit", "questions"), ("diversify", "rewrites"), ("answer", "answers"), ("finetune", "trained on"))


def cost(comparison: Comparison) -> list[Figure]:
    """Questions, pairs and tokens, means over the seeds."""
    rows = comparison.students
    if not rows:
        return []
    counts = [[total(row, "diversify", "records"), total(row, "vote", "records")] for row in rows]
    tokens = [[total(row, stage, "tokens") for stage, _ in SPENT] for row in rows]
    names, height = short_labels(comparison, rows), 1.0 + rows_height(len(rows), 0.36)

    def paint_counts(axes: Any) -> None:
        label_rows(axes, names)
        for number, (what, shift) in enumerate((("questions kept", -0.2), ("training pairs", 0.2))):
            places = [at + shift for at in range(len(rows))]
            axes.barh(places, [one[number] for one in counts], 0.36, color=series(number), label=what)
        axes.set_xlabel("number")
        legend_above(axes)

    def paint_tokens(axes: Any) -> None:
        label_rows(axes, names)
        left = [0.0] * len(rows)
        for number, (_, what) in enumerate(SPENT):
            values = [one[number] / 1e3 for one in tokens]
            axes.barh(range(len(rows)), values, 0.6, left=left, color=series(number), label=what)
            left = [a + b for a, b in zip(left, values, strict=True)]
        axes.set_xlabel("thousand tokens")
        legend_above(axes)

    caption = (
        "Questions kept after diversification and the pairs left after the vote; tokens that the model generated for "
        "questions, rewrites and answers, and target tokens it was trained on. Includes work found in the store, but "
        "not seeds that did not get that far."
    )
    panels = (draw("Questions and pairs", paint_counts, height), draw("Tokens by stage", paint_tokens, height))
    return [Figure("Pairs and tokens", caption, panels)]
