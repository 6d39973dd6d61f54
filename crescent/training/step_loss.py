"""The loss of one optimiser step, from what is minimised and how sequences lie in memory.

In: an objective, a layout, a model, a micro-batch, and the sizes of the whole step. Out: the micro-batch's share of the
step's loss, a scalar to call backward on, and its shares of the step's metrics. Shares add up over micro-batches and
processes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from crescent.training.data import Example
from crescent.training.head import nats
from crescent.training.objective import Objective, Scored
from crescent.training.wrapped import as_before_training

if TYPE_CHECKING:
    from crescent.training.layouts import Layout


@dataclass(frozen=True, slots=True)
class Sizes:
    """What the sums over a step are divided by: the loss, and means over contrasted examples and target tokens."""

    loss: float
    contrasted: int
    targets: int


class StepLoss:
    """`names` are the metrics besides the loss, in order. `anchor` is the weight of the divergence from the model
    before training (`Anchor`); 0: none."""

    def __init__(self, objective: Objective, anchor: float, layout: "Layout", pad_id: int) -> None:
        self._objective, self._anchor, self._layout, self._pad_id = objective, anchor, layout, pad_id
        self.names = (*objective.metrics, *(["kl"] if anchor > 0 else []))

    def sizes(self, examples: Sequence[Example]) -> Sizes:
        """Sizes of a step with these examples."""
        contrasted = sum(example.rejected is not None for example in examples)
        targets = sum(one.target_tokens for example in examples for one in example.sequences)
        return Sizes(self._objective.size(examples), max(1, contrasted), targets)

    def share(self, model: Any, examples: Sequence[Example], sizes: Sizes, device: Any) -> torch.Tensor:
        """The loss, differentiable, and the metrics in the order of `names`, without gradient: [1 + metrics]."""
        sequences = [one for example in examples for one in example.sequences]
        nats_now, nats_before, divergence = self._of_targets(model, sequences, device)
        reference = None if nats_before is None else -_by_sequence(nats_before, sequences)
        loss, metrics = self._objective.summed(Scored(examples, -_by_sequence(nats_now, sequences), reference))
        loss = loss / sizes.loss
        shares = [metrics[name].detach() / sizes.contrasted for name in self._objective.metrics]
        if divergence is not None:
            kl = divergence.sum() / sizes.targets
            loss, shares = loss + self._anchor * kl, [*shares, kl.detach()]
        return torch.stack([loss, *shares])

    def _of_targets(
        self, model: Any, sequences: Sequence[Example], device: Any
    ) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]:
        """For each target token: nats, nats by the reference, and the divergence from it; None where not wanted."""
        about = (model, sequences, self._pad_id, device)
        if self._anchor > 0:
            with as_before_training(model):
                beside = self._layout.beside(*about)
            found = self._layout.values(*about, nats_and_divergence, beside)
            return found[:, 0], found[:, 1].detach(), found[:, 2]
        if not self._objective.contrasts:
            return self._layout.values(*about, nats)[:, 0], None, None
        with as_before_training(model):
            before = self._layout.values(*about, nats)[:, 0]
        return self._layout.values(*about, nats)[:, 0], before, None


def nats_and_divergence(logits: torch.Tensor, targets: torch.Tensor, reference: torch.Tensor | None) -> torch.Tensor:
    """For each target: its negative log-likelihood, the same by the reference, KL(reference || model): [positions,
    3]."""
    assert reference is not None
    now, before = logits.log_softmax(-1), reference.log_softmax(-1)
    divergence = (before.exp() * (before - now)).sum(-1)
    at = targets[:, None]
    return torch.stack([-now.gather(1, at)[:, 0], -before.gather(1, at)[:, 0], divergence], -1)


def _by_sequence(values: torch.Tensor, sequences: Sequence[Example]) -> torch.Tensor:
    """Values [targets] summed over each sequence."""
    return torch.stack([part.sum() for part in values.split([one.target_tokens for one in sequences])])
