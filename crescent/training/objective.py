"""What is minimised over the sequences of an optimiser step: the choice `objective`.

In: the log-probability of each sequence's target tokens, and where the objective asks for it that of the reference (the
same weights before training). Out: a loss, summed over a micro-batch, and the number that the sum over a whole step is
divided by. Settings; torch is loaded only where tensors are made. How sequences lie in memory is in `layouts.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol

from crescent.core.errors import UserError
from crescent.core.records import QAPair
from crescent.training.learning_rates import PREFERENCES, UsualRate

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


def _name(default: str) -> str:
    return field(default=default, metadata={"key": False}, compare=False)


@dataclass(frozen=True, slots=True)
class Sft:
    """`objective=sft`: supervised fine-tuning, nats per target token."""

    contrasts: ClassVar[bool] = False
    metrics: ClassVar[Sequence[str]] = ()
    usual_rates: ClassVar[Sequence[UsualRate] | None] = None
    name: str = _name("sft")

    def select(self, pairs: Sequence[QAPair]) -> Sequence[QAPair]:
        """All."""
        return pairs

    def size(self, examples: "Sequence[Example]") -> float:
        """The number of target tokens."""
        return sum(example.target_tokens for example in examples)

    def summed(self, scored: Scored) -> Summed:
        """The negative log-likelihood of all target tokens."""
        return -scored.log_probs.sum(), {}


@dataclass(frozen=True, slots=True)
class Dpo:
    """`objective=dpo`: Self-consistency Preference Optimization (ScPO; Prasad et al., arXiv 2411.04109, section 2).

    With w the margin of the vote, and r(y) = log p(y) - log p_reference(y), the loss of a question is

        -w log sigmoid(beta (r(winning) - r(losing))) - alpha w / |winning| log p(winning)

    and that of a step the mean over its questions. With w = 1 and alpha = 0 it is DPO (Rafailov et al., arXiv
    2305.18290, equation 7). The reference is the model without its adapter.

    `undisputed`: what becomes of questions without a losing response. Their margin would be 0, so they are left
    out (`drop`); `sft` trains on their winning response with w = 1 and the second term alone.
    """

    contrasts: ClassVar[bool] = True
    metrics: ClassVar[Sequence[str]] = ("rewards/chosen", "rewards/rejected", "rewards/margins", "rewards/accuracies")
    usual_rates: ClassVar[Sequence[UsualRate] | None] = PREFERENCES
    beta: float
    alpha: float
    undisputed: Literal["drop", "sft"] = "drop"
    name: str = _name("dpo")

    def __post_init__(self) -> None:
        if self.beta <= 0:
            raise UserError(f"objective.beta is {self.beta}; it must be above 0, such as 0.5")
        if self.alpha < 0:
            raise UserError(f"objective.alpha is {self.alpha}; it must be 0 or more, such as 1")

    def select(self, pairs: Sequence[QAPair]) -> Sequence[QAPair]:
        """Those with a losing response, and with `undisputed=sft` all."""
        disputed = [pair for pair in pairs if pair.rejected is not None]
        if not disputed:
            raise UserError(
                f"objective=dpo: none of {len(pairs)} pairs has a response that lost the vote, so there is nothing to "
                "prefer. Raise vote.draws or answer.temperature, or choose objective=sft."
            )
        return disputed if self.undisputed == "drop" else pairs

    def size(self, examples: "Sequence[Example]") -> float:
        """The number of questions."""
        return len(examples)

    def summed(self, scored: Scored) -> Summed:
        """The loss over all questions, and the rewards beta r(y) over those with a losing response."""
        import torch
        from torch.nn.functional import logsigmoid

        assert scored.reference is not None, "an objective that contrasts is given the reference"
        won, lost = _places(scored.examples)
        examples, log_probs, device = scored.examples, scored.log_probs, scored.log_probs.device
        weights = torch.tensor([one.weight for one in examples], device=device)
        lengths = torch.tensor([one.target_tokens for one in examples], device=device)
        rewards = self.beta * (log_probs - scored.reference)
        disputed = [index for index, one in enumerate(examples) if one.rejected is not None]
        chosen, rejected = rewards[[won[index] for index in disputed]], rewards[lost]
        preference = -weights[disputed] * logsigmoid(chosen - rejected)
        likelihood = -self.alpha * weights / lengths * log_probs[won]
        sums = (chosen, rejected, chosen - rejected, (chosen > rejected).float())
        return preference.sum() + likelihood.sum(), dict(zip(self.metrics, map(torch.sum, sums), strict=True))


def _places(examples: "Sequence[Example]") -> tuple[list[int], list[int]]:
    """Where the winning and the losing responses are among the sequences."""
    won, lost, place = list[int](), list[int](), 0
    for example in examples:
        won.append(place)
        place += len(example.sequences)
        if example.rejected is not None:
            lost.append(place - 1)
    return won, lost


SFT = Sft()
"""The behaviour of every run before there was a choice."""
