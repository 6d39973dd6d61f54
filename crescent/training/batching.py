"""Order and memory layout of a run's sequences: the choice `train/batching`.

Out: how far sequences are sorted by length (`batch_schedule.py` makes the steps), and the layout of each step. These
are settings; no torch is loaded. A step has the same number of sequences in every layout, so the loss is the same
number.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from crescent.training.checks import is_whole, require

if TYPE_CHECKING:
    from crescent.training.layouts import Layout


class Batching(Protocol):
    """The `train/batching` choice."""

    @property
    def name(self) -> str: ...

    @property
    def pool_batches(self) -> int:
        """Number of batches whose sequences are sorted by length together (see `plan_steps`); 1 is a plain random
        order."""
        ...

    def layout(self) -> "Layout":
        """The memory layout of a step."""
        ...


def _name() -> str:
    return field(default="", metadata={"key": False}, compare=False)


@dataclass(frozen=True, slots=True)
class Padded:
    """Pads sequences to the longest in their group. Batches of similar length (`pool_batches` of them are sorted
    together; 1 is a plain random order) waste less, but are less mixed."""

    pool_batches: int
    name: str = _name()

    def __post_init__(self) -> None:
        _check_pool(self.pool_batches)

    def layout(self) -> "Layout":
        """Rows of one sequence each."""
        from crescent.training.layouts import PaddedLayout

        return PaddedLayout()


@dataclass(frozen=True, slots=True)
class Packed:
    """Sequences are packed end to end without padding, and none attends to another; so a random order
    (`pool_batches=1`) is as fast as any."""

    pool_batches: int
    name: str = _name()

    def __post_init__(self) -> None:
        _check_pool(self.pool_batches)

    def layout(self) -> "Layout":
        """One row of many sequences."""
        from crescent.training.layouts import PackedLayout

        return PackedLayout()


def _check_pool(batches: int) -> None:
    wanted = "a whole number from 1 (1: a plain random order)"
    require(is_whole(batches) and batches >= 1, "batching.pool_batches", batches, wanted)


GROUPED = Padded(pool_batches=16, name="grouped")
"""The behaviour of every run before there was a choice."""
