"""The harness's table of one task as records.

In: `{"exact_match,strict-match": 0.5, "exact_match_stderr,strict-match": 0.01, ...}`. Out: one `TaskScore` for each
number in it, exactly one of them primary. All that is computed here are means over parts of a task: its subsets, under
names such as "gsm_plus_mini/digit expansion", each with a primary of its own.
"""

import logging
import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from crescent.records import TaskScore

log = logging.getLogger(__name__)
COSTS = ("prompt_tokens", "new_tokens")
ANSWERABLE = "answerable"


def task_scores(task: str, shots: int, reported: Mapping[str, Any], preference: Sequence[str]) -> list[TaskScore]:
    """All finite numbers of a task. Raises ValueError if none of `preference` is among them.

    A value that is no finite number is left out and named in the log; `stderr` is 0 where the harness gives none.
    """
    values = {}
    for key, value in reported.items():
        if "," not in key or "_stderr," in key:
            continue
        number = as_number(value)
        if number is None:
            log.warning("%s, %d-shot: %s is %r and is left out", task, shots, key, value)
        else:
            values[key] = number
    primary = choose_primary(task, list(values), preference)
    scores = []
    for key, number in values.items():
        metric, filter_name = key.split(",", 1)
        stderr = as_number(reported.get(f"{metric}_stderr,{filter_name}")) or 0.0
        count = int(reported["sample_len"])
        scores.append(TaskScore(task, shots, metric, filter_name, key == primary, number, stderr, count))
    return scores


def subset_scores(
    task: str, shots: int, samples: Sequence[Mapping[str, Any]], unanswerable: str | None, preference: Sequence[str]
) -> list[TaskScore]:
    """Means over the samples of each subset, with the harness's standard error (that of a mean of independent items).

    Where one subset is `unanswerable` the others together are the subset "answerable". Nothing where samples name none.
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
        for score in _means(f"{task}/{name}", shots, [one["metrics"] for one in some], preference)
    ]


def cost_scores(task: str, shots: int, samples: Sequence[Mapping[str, Any]]) -> list[TaskScore]:
    """Mean tokens of an item, `prompt_tokens` read and `new_tokens` written; nothing where nothing was generated."""
    scores = []
    for metric in COSTS:
        values = [sample[metric] for sample in samples if sample[metric] is not None]
        if values:
            scores.append(TaskScore(task, shots, metric, "none", False, *_mean_and_error(values), len(values)))
    return scores


def _mean_and_error(values: Sequence[float]) -> tuple[float, float]:
    error = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else 0.0
    return statistics.fmean(values), error


def _means(
    task: str, shots: int, verdicts: Sequence[Mapping[str, float]], preference: Sequence[str]
) -> list[TaskScore]:
    primary = choose_primary(task, list(verdicts[0]), preference)
    scores = []
    for key in verdicts[0]:
        metric, filter_name = key.split(",", 1)
        values = [verdict[key] for verdict in verdicts]
        is_primary = key == primary
        scores.append(TaskScore(task, shots, metric, filter_name, is_primary, *_mean_and_error(values), len(values)))
    return scores


def choose_primary(task: str, reported: Sequence[str], preference: Sequence[str]) -> str:
    """The "metric,filter" that comes first in `preference`; an entry without a filter takes any."""
    for wanted in preference:
        for key in reported:
            if wanted in (key, key.split(",", 1)[0]):
                return key
    raise ValueError(
        f"eval.primary names none of what task {task} reports ({', '.join(reported) or 'nothing'}); add one of these"
    )


def as_number(value: Any) -> float | None:
    """A finite float, or None for text, NaN, arrays and whatever else metrics may give."""
    try:
        number = float(value) if not isinstance(value, str) else math.nan
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None
