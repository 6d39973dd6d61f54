"""Converts the harness's table of one task to records.

In: `{"exact_match,strict-match": 0.5, "exact_match_stderr,strict-match": 0.01, ...}`. Out: one `TaskScore` for each
number in it. Computes only means: those over parts of a task (subsets, under names such as "gsm_plus_mini/digit
expansion") and mean costs. `primaries` decides which score stands for a task or part when scores are read.
"""

import logging
import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from crescent.core.errors import UserError
from crescent.core.records import TaskScore

log = logging.getLogger(__name__)
COSTS = ("prompt_tokens", "new_tokens")
THOUGHTS = ("thought_tokens", "cut_at_limit")
"""For thinking models: mean tokens per thought, and the share of responses cut off at the limit of new tokens."""
ANSWERABLE = "answerable"


def task_scores(task: str, shots: int, reported: Mapping[str, Any]) -> list[TaskScore]:
    """All finite numbers of a task. Raises UserError if there are none.

    Other values are skipped and logged; `stderr` is 0 if the harness gives none.
    """
    values = {}
    for key, value in reported.items():
        if "," not in key or "_stderr," in key:
            continue
        number = as_number(value)
        if number is None:
            log.warning("%s, %d-shot: %s is %r; skipped", task, shots, key, value)
        else:
            values[key] = number
    if not values:
        raise UserError(f"task {task} reports no finite number ({', '.join(reported)}); leave it out of eval.tasks")
    scores = []
    for key, number in values.items():
        metric, filter_name = key.split(",", 1)
        stderr = as_number(reported.get(f"{metric}_stderr,{filter_name}")) or 0.0
        count = int(reported["sample_len"])
        scores.append(TaskScore(task, shots, metric, filter_name, number, stderr, count))
    return scores


def subset_scores(
    task: str, shots: int, samples: Sequence[Mapping[str, Any]], unanswerable: str | None
) -> list[TaskScore]:
    """Means over the samples of each subset, with the harness's standard error (for a mean of independent items).

    If one subset is `unanswerable`, the others together form the subset "answerable". Empty if samples name no subset.
    """
    subsets: dict[str, list[Mapping[str, Any]]] = {}
    for sample in samples:
        if sample["subset"] is not None:
            subsets.setdefault(sample["subset"], []).append(sample)
    parts = dict(sorted(subsets.items()))
    if unanswerable is not None:
        parts[ANSWERABLE] = [one for name, some in subsets.items() if name != unanswerable for one in some]
    return [
        score
        for name, some in parts.items()
        if some
        for score in _means(f"{task}/{name}", shots, [one["metrics"] for one in some])
    ]


def cost_scores(task: str, shots: int, samples: Sequence[Mapping[str, Any]]) -> list[TaskScore]:
    """Mean tokens per item: `prompt_tokens` read and `new_tokens` generated, and for a thinking model its thoughts;
    empty if nothing was generated.
    """
    scores = []
    for metric in (*COSTS, *THOUGHTS):
        values = [sample[metric] for sample in samples if sample.get(metric) is not None]
        if values:
            scores.append(TaskScore(task, shots, metric, "none", *mean_and_error(values), len(values)))
    return scores


def mean_and_error(values: Sequence[float]) -> tuple[float, float]:
    """The mean of independent items and its standard error."""
    error = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else 0.0
    return statistics.fmean(values), error


def _means(task: str, shots: int, verdicts: Sequence[Mapping[str, float]]) -> list[TaskScore]:
    scores = []
    for key in verdicts[0]:
        metric, filter_name = key.split(",", 1)
        values = [verdict[key] for verdict in verdicts]
        scores.append(TaskScore(task, shots, metric, filter_name, *mean_and_error(values), len(values)))
    return scores


def primaries(scores: Sequence[TaskScore], preference: Sequence[str]) -> list[bool]:
    """Marks which of `scores`, all at one number of shots, stand for their task or part: one each, and never a cost.

    Raises UserError if `preference` names none of the metrics that a task reports.
    """
    reported: dict[str, list[str]] = {}
    for score in scores:
        if score.metric not in (*COSTS, *THOUGHTS):
            reported.setdefault(score.task, []).append(f"{score.metric},{score.filter}")
    chosen = {task: _first_wish(task, keys, preference) for task, keys in reported.items()}
    return [f"{score.metric},{score.filter}" == chosen.get(score.task) for score in scores]


def _first_wish(task: str, reported: Sequence[str], preference: Sequence[str]) -> str:
    """The "metric,filter" that comes first in `preference`; an entry without a filter matches any filter."""
    for wanted in preference:
        for key in reported:
            if wanted in (key, key.split(",", 1)[0]):
                return key
    raise UserError(f"eval.primary names none of the metrics of task {task} ({', '.join(reported)}); add one of these")


def as_number(value: Any) -> float | None:
    """A finite float; None for text, NaN, arrays and other values that metrics may return."""
    try:
        number = float(value) if not isinstance(value, str) else math.nan
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None
