"""How training keeps what the model could do before: the choice `retain`.

Out: settings. `shots` changes the sequences (`shots.py`), `anchor` adds a term to the loss (`step_loss.py`).
"""

from dataclasses import dataclass, field
from typing import Protocol

from crescent.core.errors import UserError
from crescent.core.store import internal


class Retention(Protocol):
    """The settings of a `retain` choice: a `share` of the pairs is trained on behind up to `shots` others, and the
    divergence from the model before training counts with `weight`. 0 does neither."""

    @property
    def name(self) -> str: ...

    @property
    def share(self) -> float: ...

    @property
    def shots(self) -> int: ...

    @property
    def weight(self) -> float: ...


def _name(default: str) -> str:
    return field(default=default, metadata={"key": False}, compare=False)


@dataclass(frozen=True, slots=True)
class NoRetention:
    """`retain=none`: training on the pairs alone."""

    name: str = _name("none")
    share: float = internal(default=0.0)
    shots: int = internal(default=0)
    weight: float = internal(default=0.0)


@dataclass(frozen=True, slots=True)
class Shots:
    """`retain=shots`: so that worked examples in the prompt keep helping, pairs are trained on behind other pairs of
    the run as earlier turns, each pair with probability `share`, behind `shots` others or as many as `train.max_length`
    allows. Only the last answer carries loss: every pair is a target once an epoch, whatever the share."""

    share: float
    shots: int
    name: str = _name("shots")
    weight: float = internal(default=0.0)

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise UserError(f"retain.share is {self.share}; it must be a share of the pairs, above 0 and up to 1")
        if self.shots < 1:
            raise UserError(f"retain.shots is {self.shots}; it must be at least 1")


@dataclass(frozen=True, slots=True)
class Anchor:
    """`retain=anchor`: adds `weight` times KL(before || now), in nats per target token: the divergence of the student's
    next-token distribution from that of the model before training (its adapter off), on the same target tokens.

    This direction asks the student to keep probability wherever the model had some, as in learning without forgetting
    (Li and Hoiem, arXiv 1606.09282); the other would let it drop alternatives.
    """

    weight: float
    name: str = _name("anchor")
    share: float = internal(default=0.0)
    shots: int = internal(default=0)

    def __post_init__(self) -> None:
        if self.weight <= 0:
            raise UserError(f"retain.weight is {self.weight}; it must be above 0, such as 0.5 (retain=none: no term)")


NONE = NoRetention()
"""The behaviour of every run before there was a choice."""
