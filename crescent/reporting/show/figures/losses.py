"""Training loss by optimiser step."""

from typing import Any

from crescent.core.records import TrainStep
from crescent.reporting.analyse.details import lines_of
from crescent.reporting.analyse.results import Comparison
from crescent.reporting.show.drawing import WIDE, draw, stroke
from crescent.reporting.show.figures.figure import Figure, key_of, short_labels

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
        for number, (_, steps) in enumerate(curves):
            xs, ys, own = [step.step for step in steps], [step.loss for step in steps], stroke(number)
            every = (number * len(xs) // (8 * len(curves)), max(1, len(xs) // 8))  # staggered: equal curves still show
            marker = own.marker if len(curves) > 1 else None
            axes.plot(xs, ys, linestyle=own.line, color=own.color, linewidth=1.2, marker=marker, markevery=every, ms=4)
        axes.set_xlabel("optimiser step")
        axes.set_ylabel("nats per target token (dpo: per question)")
        axes.set_ylim(bottom=0)

    panel = draw("Training loss by step", paint, 2.5, width=WIDE)
    return [Figure("Training", CAPTION, (panel,), key_of(short_labels(comparison, [row for row, _ in curves])))]
