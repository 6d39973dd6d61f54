"""The harness's table of one task as records.

In: `{"exact_match,strict-match": 0.5, "exact_match_stderr,strict-match": 0.01, ...}`. Out: one `TaskScore` for each
number in it, exactly one of them primary. Nothing is computed here.
"""

import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

from crescent.records import TaskScore

log = logging.getLogger(__name__)


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
