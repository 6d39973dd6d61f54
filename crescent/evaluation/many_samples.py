"""Combines several samples of each item into one: mean@k, pass@k and maj@k.

In: k lists of `Sample` that differ only in the model's responses. Out: one list. An item's metric is its mean over the
samples, so a task's score is mean@k with the standard error over items (samples of one item are not independent
observations; Miller, arXiv 2411.00640). For each metric that is right or wrong, these are added:

    exact_match_pass@8    whether any sample is right
    exact_match_maj@8     whether the answer most samples agree on is right (of several, the first); an invalid answer
                          has no vote. Only for tasks whose responses commit to an answer, and filters that read one.
"""

import math
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from contextlib import closing
from dataclasses import replace
from statistics import fmean
from typing import Any

from crescent.answers.symbolic import SymbolicEquality
from crescent.core.records import TaskScore
from crescent.evaluation.metrics import mean_and_error
from crescent.evaluation.samples import Sample

NO_VOTE = "[invalid]"  # written by the harness's filters and by ours
WHOLE = "none"  # the harness's filter that leaves a response as it is
Same = Callable[[Sequence[str]], Sequence[str | None]]  # maps equal answers to one
_MEANS = ("prompt_tokens", "new_tokens", "thought_tokens", "cut_at_limit")


def combine(runs: Sequence[Sequence[Sample]], has_answers: bool, equality: str = "canonical") -> list[Sample]:
    """One sample per item: texts and answers as lists, numbers as means. With `equality="symbolic"` algebraically equal
    answers vote together.
    """
    if len(runs) == 1:
        return list(runs[0])
    values: dict[str, set[float]] = {}
    for sample in (one for run in runs for one in run):
        for name, value in sample["metrics"].items():
            values.setdefault(name, set()).add(value)
    verdicts = {name for name, found in values.items() if found <= {0.0, 1.0}}
    with closing(SymbolicEquality()) as symbolic:  # starts a worker only if asked
        same: Same = list if equality == "canonical" else symbolic.representatives
        return [_combined(some, verdicts, same if has_answers else None) for some in zip(*runs, strict=True)]


def combine_scores(tables: Sequence[Sequence[TaskScore]], samples: Sequence[Sample]) -> list[TaskScore]:
    """Combines the harness's tables of all samples into one, followed by pass@k and maj@k."""
    if len(tables) == 1:
        return list(tables[0])
    values: dict[str, list[float]] = {}
    for sample in samples:
        for name, value in sample["metrics"].items():
            values.setdefault(name, []).append(value)
    of_items = {name: (*mean_and_error(found), len(found)) for name, found in values.items()}
    combined = []
    for same in zip(*tables, strict=True):
        first, value = same[0], fmean(one.value for one in same)
        mean, error, _ = of_items.get(f"{first.metric},{first.filter}", (math.nan, 0.0, 0))
        if not abs(mean - value) < 1e-6:  # the metric is not a mean over items, so their error does not apply
            error = fmean(one.stderr for one in same)
        combined.append(replace(first, value=value, stderr=error))
    first = tables[0][0]
    for name, found in of_items.items():
        metric, filter_name = name.split(",", 1)
        if "@" in metric:
            combined.append(TaskScore(first.task, first.shots, metric, filter_name, *found))
    return combined


def _combined(some: Sequence[Sample], verdicts: Collection[str], same: Same | None) -> Sample:
    """Combines the samples of one item. `verdicts` are the metrics that say right or wrong; without `same` there is no
    vote.
    """
    metrics, count = {}, len(some)
    for name in some[0]["metrics"]:
        found = [one["metrics"][name] for one in some]
        metrics[name] = fmean(found)
        if name in verdicts:
            metric, filter_name = name.split(",", 1)
            metrics[f"{metric}_pass@{count},{filter_name}"] = max(found)
            if same is not None and filter_name != WHOLE:
                answers = same([str(one["filtered"].get(filter_name)) for one in some])
                metrics[f"{metric}_maj@{count},{filter_name}"] = _of_majority(answers, found)
    numbers = {name: _mean([one[name] for one in some]) for name in _MEANS if name in some[0]}
    filtered = {name: [one["filtered"][name] for one in some] for name in some[0]["filtered"]}
    said = {"response": [one["response"] for one in some], "filtered": filtered}
    return {**some[0], **numbers, **said, "metrics": metrics}


def _of_majority(answers: Sequence[Any], verdicts: Sequence[float]) -> float:
    """The verdict on the answer with the most votes; a tie goes to the first."""
    votes = Counter(str(answer) for answer in answers if answer != NO_VOTE)
    winner = votes.most_common(1)[0][0] if votes else NO_VOTE
    return verdicts[[str(answer) for answer in answers].index(winner)]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
