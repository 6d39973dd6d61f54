"""The shipped configuration with overrides, as the command composes it."""

from typing import Any

from crescent.config import composing
from crescent.config.resolvers import assets
from crescent.config.typed import build_target
from crescent.experiment import Experiment

ROOT = assets()


def composed(*overrides: str) -> dict[str, Any]:
    return composing.composed(overrides)


def experiment(*overrides: str) -> Experiment:
    node = composed(*overrides)
    build_target(node.pop("tracking"), "tracking")
    return Experiment.from_node(node)
