"""Diversity of the questions before and after diversification, in three measures."""

from typing import Any

from crescent.reporting.analyse.results import Comparison
from crescent.reporting.show.drawing import MUTED, PAPER, draw, label_rows, legend_above, rows_height, series
from crescent.reporting.show.figures.figure import Figure, info, short_labels

MEASURES = (
    ("nearest_mean", "mean cosine to the nearest other", "lower is more diverse"),
    ("vendi", "effective number of questions (Vendi)", "higher is more diverse"),
    ("largest_cluster", "share of the largest cluster", "lower is more diverse"),
)


def diversity(comparison: Comparison) -> list[Figure]:
    """Means over the seeds."""
    rows = [row for row in comparison.students if info(row, "diversify", "before/vendi") is not None]
    if not rows:
        return []
    names, panels = short_labels(comparison, rows), []
    for measure, label, direction in MEASURES:
        values = [
            (info(row, "diversify", f"before/{measure}"), info(row, "diversify", f"after/{measure}")) for row in rows
        ]

        def paint(axes: Any, values: Any = values, label: str = label, direction: str = direction) -> None:
            label_rows(axes, names)
            for at, (before, after) in enumerate(values):
                axes.plot([before, after], [at, at], color=MUTED, linewidth=1)
                axes.plot(before, at, "o", mfc=PAPER, mec=series(0), ms=8.5, label="before" if at == 0 else None)
                axes.plot(after, at, "o", color=series(0), ms=6, label="after" if at == 0 else None)
            axes.margins(x=0.12)
            axes.set_xlabel(f"{label}\n{direction}")
            legend_above(axes)

        panels.append(draw(label, paint, 1.1 + rows_height(len(rows))))
    caption = (
        "The first questions that the model asked, and as many that were kept: hollow before, filled after. Cosines "
        "are of sentence embeddings, so texts from one template are similar even if their numbers differ."
    )
    return [Figure("Diversity of the questions", caption, tuple(panels))]
