"""The metrics that a W&B run logs: their units, the axis they are drawn over, and what the runs table shows of them.

In: a W&B run. Out: its metric definitions, and a table `metrics` that explains them. W&B has no field for units.
"""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Metric:
    """`names` is a name, or a prefix with `*`. `step` is the metric that curves are drawn over. `summary` is what the
    runs table shows of a curve: max or mean; None: the last value, under the plain name."""

    names: str
    unit: str
    meaning: str
    step: str | None = None
    summary: str | None = None


METRICS = (
    Metric("train/step", "optimiser steps", "within one iteration's training"),
    Metric("train/loss", "nats per target token", "training loss of a step (objective=dpo: mean over questions)",
           "train/step"),
    Metric("train/rewards/*", "nats, share", "objective=dpo: beta times log-ratios to the reference, and how often the "
           "winning response has the larger one", "train/step"),
    Metric("train/kl", "nats per target token", "retain=anchor: divergence from the model before training",
           "train/step"),
    Metric("train/held_out_loss", "as train/loss", "train.stop=plateau: loss on held-out pairs", "train/step"),
    Metric("train/learning_rate", "1", "learning rate of a step", "train/step", "max"),
    Metric("train/grad_norm", "1", "gradient norm before clipping", "train/step", "max"),
    Metric("train/target_tokens_per_second", "tokens/s", "training speed", "train/step", "mean"),
    Metric("train/epoch", "epochs", "epochs begun", "train/step"),
    Metric("iteration", "iterations", "passes of self-improvement, from 1; 0 is before training"),
    Metric("stage/diversify/round", "rounds", "rounds of elicitation, from 0"),
    Metric("stage/diversify/acceptance", "share", "questions kept per completion of a round", "stage/diversify/round"),
    Metric("stage/*", "records, tokens, seconds, counts", "a stage's work; new_tokens are this run's own", "iteration"),
    Metric("labels/*", "share", "accuracy of draws and labels, if an oracle knows the truth", "iteration"),
    Metric("iteration/*", "share, count or score", "figures of the collapse monitor", "iteration"),
    Metric("score/*", "the task's metric", "benchmark score; .../stderr is its standard error", "iteration"),
    Metric("difference/*", "the task's metric", "student minus base, paired by question; low, high: 95 % interval"),
)  # fmt: skip
COLUMNS = ("metric", "unit", "meaning", "drawn over", "in the runs table")


def define_metrics(run: Any) -> None:
    """Defines all metrics for `run`."""
    for metric in METRICS:
        run.define_metric(metric.names, step_metric=metric.step, summary=metric.summary)


def metric_rows() -> list[list[str]]:
    """The metrics as rows of a table with `COLUMNS`."""
    return [[one.names, one.unit, one.meaning, one.step or "", one.summary or "last"] for one in METRICS]
