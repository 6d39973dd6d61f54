"""How the sequences of a run are ordered and laid in memory: the choice `train/batching`.

In: nothing. Out: how far sequences are sorted by length (`batch_schedule.py` makes the steps of it), and the layout of
each step. Loads no torch: these are settings.
A step has the same number of sequences whatever the layout, so that the loss is the
same number.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from crescent.training.checks import is_whole, require

if TYPE_CHECKING:
    from crescent.training.layouts import Layout


class Batching(Protocol):
    """An order and a layout."""

    @property
    def pool_batches(self) -> int:
        """Batches whose sequences are sorted by length together (see `plan_steps`); 1 is a plain random order."""
        ...

    def layout(self) -> "Layout":
        """How a step lies in memory."""
        ...


def _name() -> str:
    return field(default="", metadata={"key": False}, compare=False)


@dataclass(frozen=True, slots=True)
class Padded:
    """Short sequences are filled up to the longest beside them. Batches of similar length (`pool_batches` of them are
    sorted together; 1 is a plain random order) waste less, and are less mixed."""

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
    """Sequences lie end to end, none sees another, nothing is filled up; so a random order (`pool_batches=1`) is as
    fast as any."""

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
"""What every run did before there was a choice."""
