"""Training loss by optimiser step."""

from typing import Any

from crescent.core.records import TrainStep
from crescent.reporting.analyse.details import lines_of
from crescent.reporting.analyse.results import Comparison
from crescent.reporting.show.drawing import MANY, WIDE, draw, strokes
from crescent.reporting.show.figures.figure import Figure, key_of, short_labels, unnamed

CAPTION = (
    "Training loss of each step over its own target tokens (the responses; with objective=dpo over its questions, in "
    "nats per question), first seed, last iteration. A "
    "loss near zero from the start means that the student already writes such responses: there is little to learn from "
    "them."
)


def training(comparison: Comparison) -> list[Figure]:
    """One curve per configuration."""
    curves = [
        (row, lines_of(row.runs[0].stage_folder("finetune"), "records.jsonl", TrainStep)) for row in comparison.students
    ]
    curves = [(row, steps) for row, steps in curves if steps]
    if not curves:
        return []

    def paint(axes: Any) -> None:
        for number, ((_, steps), own) in enumerate(zip(curves, strokes(len(curves)), strict=True)):
            xs, ys = [step.step for step in steps], [step.loss for step in steps]
            every = (number * len(xs) // (8 * len(curves)), max(1, len(xs) // 8))  # staggered: equal curves still show
            marker = own.marker if 1 < len(curves) <= MANY else None
            width = min(1.2, own.width)
            axes.plot(xs, ys, own.line, color=own.color, linewidth=width, marker=marker, markevery=every, ms=4)
        axes.set_xlabel("optimiser step")
        axes.set_ylabel("nats per target token (dpo: per question)")
        axes.set_ylim(bottom=0)

    panel = draw("Training loss by step", paint, 2.5, width=WIDE)
    key = key_of(short_labels(comparison, [row for row, _ in curves]))
    return [Figure("Training", CAPTION + unnamed(len(curves)), (panel,), key)]
