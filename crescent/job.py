"""One job as it is configured: the experiment, and how the command watches it.

In: the composed configuration, plain and nested. Out: a `Job`, or a ConfigError that names the key. Loads no model.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from crescent.composition import ConfigError, build_target, convert
from crescent.experiment import Experiment
from crescent.tracking import Tracker

Check = bool | Literal["auto"]


class Tracking(Protocol):
    """The `tracking` choice: where a run is logged."""

    def start(
        self, folder: Path, config: Mapping[str, Any], group: str, job: str
    ) -> AbstractContextManager[Tracker]: ...


@dataclass(frozen=True, slots=True)
class Job:
    """`check`: True only tells what the run will take, "auto" does so before long runs."""

    experiment: Experiment
    tracking: Tracking
    check: Check

    @classmethod
    def from_node(cls, node: Mapping[str, Any]) -> "Job":
        """The job of a configuration. Raises ConfigError for what cannot be."""
        tracking = build_target(_group(node, "tracking"), "tracking")
        check = convert(Check, node.get("check"), "check")
        return cls(Experiment.from_node(node), tracking, check)


def _group(node: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    if not isinstance(node.get(name), Mapping):
        raise ConfigError(f"{name} is {node.get(name)!r}; it must be one of its choices, as in {name}=none")
    return node[name]
