"""The `engine` choice: what settings must offer so that an engine is built from them, late."""

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from crescent.engines import Engine, Sampling
from crescent.engines.memory import Need
from crescent.engines.weights import Weights


class EngineSettings(Protocol):
    """Cheap settings; `build` is where memory is taken.

    `preferred_batch` is the number of prompts that keeps the engine busy. `scoring` writes the answers of tasks with
    eval.engine=auto, and `in_process` computes likelihoods of choices; an engine that cannot do either names
    TransformersSettings().
    `loads_weights`: the generating model's weights are read on this machine.
    """

    @property
    def name(self) -> str: ...

    @property
    def preferred_batch(self) -> int: ...

    @property
    def scoring(self) -> "EngineSettings": ...

    @property
    def in_process(self) -> "EngineSettings": ...

    @property
    def loads_weights(self) -> bool: ...

    def why_not(self, sampling: Sampling) -> str | None:
        """Why the engine cannot sample like this, with a suggested fix; None if it can."""
        ...

    def check_student(self, rank: int) -> None:
        """Raises UserError if the engine cannot generate with a trained model (`rank` of its adapter; 0: none)."""
        ...

    def identity(self, weights: Weights, cache: Path | None) -> str:
        """What identifies the weights in keys."""
        ...

    def check(self, weights: Weights) -> None:
        """Raises UserError if the weights cannot work. Loads nothing."""
        ...

    def needs(self, weights: Weights) -> Iterable[Need]:
        """The memory it takes."""
        ...

    def build(self, weights: Weights, identity: str) -> Engine:
        """The engine, loaded."""
        ...
