"""Which settings tell runs apart: the axes of an ablation, found in the configurations themselves.

In: runs. Out: the dotted keys that differ, without those that follow from another and those that change no result, and
groups of runs that differ in the seed alone.
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
"""Keys (or, with a dot, groups) that say where and how a run ran, what of it was measured, or what others refer to."""
SETTINGS = {"engine": (TransformersSettings, VllmSettings, ServerSettings), "train": (TrainSettings,)}
_SUITE = ("name", "tasks", "shots", "task_folders", "data", "loglikelihood_batch", "models")
OF_A_SUITE = tuple(f"eval.{name}" for name in _SUITE)
"""What is scored, from where, and how fast: a task at a number of shots means the same whatever these are."""
WEIGHTS = {"model.path": "teacher", "distill.student.path": "base"}
"""Where the weights of a role lie. The same weights may lie elsewhere on another machine."""
ABSENT = None
_GROUPS = {"model": Weights, "distill.student": Weights, "eval": EvaluationSettings, "train": TrainSettings}
_BEFORE = {
    f"{group}.{one.name}": one.metadata["omit_at"]
    for group, kind in _GROUPS.items()
    for one in fields(kind)
    if "omit_at" in one.metadata
}
"""What runs of releases that did not have a setting did."""
LOG_FROM = 4
"""The ratio of the largest to the smallest value from which a scale of ratios serves better."""

Axes = tuple[str, ...]
Point = tuple[Any, ...]
"""The values of the axes."""


def find_axes(runs: Sequence[Run]) -> Axes:
    """The keys in which runs differ. `dedup.name` stands for all that differs with it (`dedup.max_rewrites` ...)."""
    differing = [key for key in _keys(runs) if len({_value(run, key) for run in runs}) > 1]
    candidates = [key for key in differing if key != SEED_AXIS and not _changes_nothing(runs, key)]
    axes: list[str] = []
    for key in sorted(candidates, key=lambda key: (not key.endswith(".name"), key.count("."), candidates.index(key))):
        is_seed = key.rpartition(".")[2] == SEED_AXIS
        if is_seed and _follows([run for run in runs if key in run.settings], key, [SEED_AXIS]):
            continue  # train.seed and vote.seed take the run's, where a run has them
        named = [axis for axis in axes if axis.endswith(".name") and key.startswith(axis.removesuffix("name"))]
        if key.startswith("distill.student."):  # with distill=self the student is the teacher
            named += [axis for axis in axes if axis.startswith("model.")]
        if not (named and _follows(runs, key, named)):
            axes.append(key)
    return tuple(sorted(axes, key=candidates.index))


def differing_evaluation(runs: Sequence[Run]) -> list[str]:
    """Settings of the evaluation in which runs differ: their scores mean different things."""
    keys = [key for key in _keys(runs) if key.startswith("eval.") and key not in OF_A_SUITE]
    return [key for key in keys if len({_value(run, key) for run in runs}) > 1]


def group(runs: Sequence[Run], axes: Axes) -> dict[Point, list[Run]]:
    """Runs by their point on the axes, points in order, runs in order of seed."""
    groups: dict[Point, list[Run]] = defaultdict(list)
    for run in runs:
        groups[tuple(_value(run, axis) for axis in axes)].append(run)
    ordered = sorted(groups, key=order)
    return {point: sorted(groups[point], key=lambda run: run.seed) for point in ordered}


def order(point: Point) -> list[tuple[int, float, str]]:
    """What points are sorted by: numbers by size, names behind them."""
    return [_order(value) for value in point]


def are_numbers(values: Sequence[Any]) -> bool:
    """Whether the values of an axis are numbers; True and False are names."""
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def are_ratios(values: Sequence[float]) -> bool:
    """Whether numbers reach so far that doublings serve better than steps."""
    return min(values) > 0 and max(values) >= LOG_FROM * min(values)


def short(axis: str) -> str:
    """dedup.name is called dedup."""
    return axis.removesuffix(".name")


def label(axes: Axes, point: Point) -> str:
    """A point as one would write it on the command line: dedup=none vote.draws=3."""
    return " ".join(f"{short(axis)}={text(value)}" for axis, value in zip(axes, point, strict=True))


def text(value: Any) -> str:
    """A value as one would write it."""
    if value is ABSENT:
        return "-"
    if isinstance(value, tuple):
        return "[" + ",".join(map(text, value)) + "]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def parse_point(wanted: str, axes: Axes, points: Sequence[Point]) -> Point:
    """The one point that `KEY=VALUE,...` names. Raises ValueError with what there is."""
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
    """Whether a key says where and how a run ran, and not what came of it."""
    group, _, name = key.partition(".")
    if any(key.startswith(one) if one.endswith(".") else key == one for one in NO_AXES):
        return True
    if key in WEIGHTS:
        return _one_model_a_name(runs, key)
    settings = [one for kind in SETTINGS.get(group, ()) for one in fields(kind)]
    out_of_key = {one.name for one in settings if not one.metadata.get("key", True)}
    return name in out_of_key - {"name"}  # a name stands for the settings beside it


def _one_model_a_name(runs: Sequence[Run], key: str) -> bool:
    """Whether runs with one name of a model have the same weights, wherever these lie; by the path where none says."""
    found: dict[Any, set[Any]] = defaultdict(set)
    for run in runs:
        found[_value(run, key.replace("path", "name"))].add(run.weights(WEIGHTS[key]) or _value(run, key))
    return all(len(weights) == 1 for weights in found.values())


def _follows(runs: Sequence[Run], key: str, from_keys: Sequence[str]) -> bool:
    """Whether the values of `from_keys` decide that of `key`."""
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
