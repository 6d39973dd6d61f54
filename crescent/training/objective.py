"""What is minimised over the sequences of an optimiser step: the choice `objective`.

In: the log-probability of each sequence's target tokens, and where the objective asks for it that of the reference (the
same weights before training). Out: a loss, summed over a micro-batch, and the number that the sum over a whole step is
divided by. Settings; torch is loaded only where tensors are made. How sequences lie in memory is in `layouts.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Protocol

from crescent.core.records import QAPair
from crescent.training.learning_rates import UsualRate

if TYPE_CHECKING:
    import torch

    from crescent.training.data import Example

Summed = tuple["torch.Tensor", Mapping[str, "torch.Tensor"]]
"""A loss and further metrics, each summed over a micro-batch."""


@dataclass(frozen=True, slots=True)
class Scored:
    """The sequences of a micro-batch. `log_probs` [sequences] are sums over each sequence's target tokens, in nats;
    `reference` the same by the reference, without gradient, if the objective contrasts.

    Sequences are in the order of `examples`: the winning one of each, and directly after it the losing one if there is
    one.
    """

    examples: "Sequence[Example]"
    log_probs: "torch.Tensor"
    reference: "torch.Tensor | None" = None


class Objective(Protocol):
    """The settings of an `objective` choice.

    `contrasts`: trains on losing responses too, and compares log-probabilities with the reference's. `metrics` are the
    names of further figures, each a mean over the contrasted examples of a step. `usual_rates`: learning rates for
    `train.learning_rate=auto`; None: the method's.
    """

    contrasts: ClassVar[bool]
    metrics: ClassVar[Sequence[str]]
    usual_rates: ClassVar[Sequence[UsualRate] | None]

    @property
    def name(self) -> str: ...

    def select(self, pairs: Sequence[QAPair]) -> Sequence[QAPair]:
        """The pairs that it can learn from. Raises UserError if there are none."""
        ...

    def size(self, examples: "Sequence[Example]") -> float:
        """What the summed loss of a whole step is divided by."""
        ...

    def summed(self, scored: Scored) -> Summed:
        """The loss and the metrics of a micro-batch."""
        ...


def _name() -> str:
    return field(default="", metadata={"key": False}, compare=False)


@dataclass(frozen=True, slots=True)
class Sft:
    """`objective=sft`: supervised fine-tuning, nats per target token."""

    contrasts: ClassVar[bool] = False
    metrics: ClassVar[Sequence[str]] = ()
    usual_rates: ClassVar[Sequence[UsualRate] | None] = None
    name: str = _name()

    def select(self, pairs: Sequence[QAPair]) -> Sequence[QAPair]:
        """All."""
        return pairs

    def size(self, examples: "Sequence[Example]") -> float:
        """The number of target tokens."""
        return sum(example.target_tokens for example in examples)

    def summed(self, scored: Scored) -> Summed:
        """The negative log-likelihood of all target tokens."""
        return -scored.log_probs.sum(), {}


SFT = Sft("sft")
"""The behaviour of every run before there was a choice."""
