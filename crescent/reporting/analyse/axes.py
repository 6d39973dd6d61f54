"""Finds the axes of an ablation: the settings in which runs differ.

In: runs. Out: the dotted keys that differ, without those that follow from another key or change no result, and groups
of runs that differ only in the seed.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from crescent.core.errors import UserError
from crescent.engines.server import ServerSettings
from crescent.engines.transformers import TransformersSettings
from crescent.engines.vllm import VllmSettings
from crescent.engines.weights import Weights
from crescent.evaluation.settings import EvaluationSettings
from crescent.reporting.read.runs import Run
from crescent.training.settings import TrainSettings

SEED_AXIS = "seed"
NO_AXES = ("name", "store", "check", "seed_data", "seeds", "tracking.", "eval.", "prompting.", "oracle.", "runtime.")
"""Keys (or, ending in a dot, groups) for where and how a run ran, what of it was measured, or what other keys
refer to.
"""
SETTINGS = {"engine": (TransformersSettings, VllmSettings, ServerSettings), "train": (TrainSettings,)}
_SUITE = ("name", "tasks", "shots", "task_folders", "data", "loglikelihood_batch", "models")
OF_A_SUITE = tuple(f"eval.{name}" for name in _SUITE)
"""What is scored, from where, and how fast. None of these changes the score of a task at a number of shots."""
WEIGHTS = {"model.path": "teacher", "distill.student.path": "base"}
"""Paths of each role's weights. The same weights may have another path on another machine."""
ABSENT = None
_GROUPS = {"model": Weights, "distill.student": Weights, "eval": EvaluationSettings, "train": TrainSettings}
_BEFORE = {
    f"{group}.{one.name}": one.metadata["omit_at"]
    for group, kind in _GROUPS.items()
    for one in fields(kind)
    if "omit_at" in one.metadata
}
"""Values that apply to runs of releases that did not have the setting."""
LOG_FROM = 4
"""Ratio of largest to smallest value from which a logarithmic scale is used."""

Axes = tuple[str, ...]
Point = tuple[Any, ...]
"""One value per axis."""


def find_axes(runs: Sequence[Run]) -> Axes:
    """The keys in which runs differ. `dedup.name` stands for everything that differs with it (`dedup.max_rewrites`
    ...).
    """
    differing = [key for key in _keys(runs) if len({_value(run, key) for run in runs}) > 1]
    candidates = [key for key in differing if key != SEED_AXIS and not _changes_nothing(runs, key)]
    axes: list[str] = []
    for key in sorted(candidates, key=lambda key: (not key.endswith(".name"), key.count("."), candidates.index(key))):
        is_seed = key.rpartition(".")[2] == SEED_AXIS
        if is_seed and _follows([run for run in runs if key in run.settings], key, [SEED_AXIS]):
            continue  # train.seed and vote.seed follow the run's seed
        named = [axis for axis in axes if axis.endswith(".name") and key.startswith(axis.removesuffix("name"))]
        if key.startswith("distill.student."):  # with distill=self the student is the teacher
            named += [axis for axis in axes if axis.startswith("model.")]
        if not (named and _follows(runs, key, named)):
            axes.append(key)
    return tuple(sorted(axes, key=candidates.index))


def differing_evaluation(runs: Sequence[Run]) -> list[str]:
    """Evaluation settings in which runs differ, so that their scores are not comparable."""
    keys = [key for key in _keys(runs) if key.startswith("eval.") and key not in OF_A_SUITE]
    return [key for key in keys if len({_value(run, key) for run in runs}) > 1]


def group(runs: Sequence[Run], axes: Axes) -> dict[Point, list[Run]]:
    """Runs grouped by their point on the axes; points in order, runs in order of seed."""
    groups: dict[Point, list[Run]] = defaultdict(list)
    for run in runs:
        groups[tuple(_value(run, axis) for axis in axes)].append(run)
    ordered = sorted(groups, key=order)
    return {point: sorted(groups[point], key=lambda run: run.seed) for point in ordered}


def order(point: Point) -> list[tuple[int, float, str]]:
    """The sort key of points: numbers by size, then names."""
    return [_order(value) for value in point]


def are_numbers(values: Sequence[Any]) -> bool:
    """True if all values of an axis are numbers; booleans count as names."""
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def are_ratios(values: Sequence[float]) -> bool:
    """True if the range of numbers calls for a logarithmic scale."""
    return min(values) > 0 and max(values) >= LOG_FROM * min(values)


def short(axis: str) -> str:
    """The displayed name of an axis: dedup.name is shown as dedup."""
    return axis.removesuffix(".name")


def label(axes: Axes, point: Point) -> str:
    """A point in command-line syntax: dedup=none vote.draws=3."""
    return " ".join(f"{short(axis)}={text(value)}" for axis, value in zip(axes, point, strict=True))


def text(value: Any) -> str:
    """A value in command-line syntax; "-" if absent."""
    if value is ABSENT:
        return "-"
    if isinstance(value, tuple):
        return "[" + ",".join(map(text, value)) + "]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def parse_point(wanted: str, axes: Axes, points: Sequence[Point]) -> Point:
    """The only point that matches `KEY=VALUE,...`. Raises UserError with the choices if there is not exactly one."""
    parts = (part.strip().partition("=") for part in wanted.split(",") if part.strip())
    asked = {key: value for key, _, value in parts}
    for key in asked:
        if key not in axes and f"{key}.name" not in axes:
            there = ", ".join(short(axis) for axis in axes) or "none"
            raise UserError(f"--reference names {key}, which does not differ between the runs; the axes are: {there}")
    found = [
        point
        for point in points
        if all(
            text(value) == asked.get(short(axis), asked.get(axis, text(value)))
            for axis, value in zip(axes, point, strict=True)
        )
    ]
    if len(found) != 1:
        choices = "; ".join(label(axes, point) for point in (found or points))
        raise UserError(f"--reference {wanted} fits {len(found)} rows instead of one; choose among: {choices}")
    return found[0]


def _changes_nothing(runs: Sequence[Run], key: str) -> bool:
    """True if a key concerns where and how a run ran, not its results."""
    group, _, name = key.partition(".")
    if any(key.startswith(one) if one.endswith(".") else key == one for one in NO_AXES):
        return True
    if key in WEIGHTS:
        return _one_model_a_name(runs, key)
    settings = [one for kind in SETTINGS.get(group, ()) for one in fields(kind)]
    out_of_key = {one.name for one in settings if not one.metadata.get("key", True)}
    return name in out_of_key - {"name"}  # a name stands for the other settings of its group


def _one_model_a_name(runs: Sequence[Run], key: str) -> bool:
    """True if runs with the same model name have the same weights, wherever they are; by path if the weights are
    unknown.
    """
    found: dict[Any, set[Any]] = defaultdict(set)
    for run in runs:
        found[_value(run, key.replace("path", "name"))].add(run.weights(WEIGHTS[key]) or _value(run, key))
    return all(len(weights) == 1 for weights in found.values())


def _follows(runs: Sequence[Run], key: str, from_keys: Sequence[str]) -> bool:
    """True if the values of `from_keys` determine that of `key`."""
    values: dict[Point, set[Any]] = defaultdict(set)
    for run in runs:
        values[tuple(_value(run, one) for one in from_keys)].add(_value(run, key))
    return all(len(seen) == 1 for seen in values.values())


def _keys(runs: Sequence[Run]) -> list[str]:
    return list(dict.fromkeys(key for run in runs for key in run.settings))


def _value(run: Run, key: str) -> Any:
    return run.seed if key == SEED_AXIS else run.settings.get(key, _BEFORE.get(key, ABSENT))


def _order(value: Any) -> tuple[int, float, str]:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return (0 if value is ABSENT else 2, 0.0, str(value))
    return (1, float(value), "")
