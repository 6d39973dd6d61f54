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
    """What the sums over a step are divided by: the loss, and means over contrasted examples."""

    loss: float
    contrasted: int


class StepLoss:
    """`names` are the metrics besides the loss, in order."""

    def __init__(self, objective: Objective, layout: "Layout", pad_id: int) -> None:
        self._objective, self._layout, self._pad_id = objective, layout, pad_id
        self.names = tuple(objective.metrics)

    def sizes(self, examples: Sequence[Example]) -> Sizes:
        """Sizes of a step with these examples."""
        contrasted = sum(example.rejected is not None for example in examples)
        return Sizes(self._objective.size(examples), max(1, contrasted))

    def share(self, model: Any, examples: Sequence[Example], sizes: Sizes, device: Any) -> torch.Tensor:
        """The loss, differentiable, and the metrics in the order of `names`, without gradient: [1 + metrics]."""
        sequences = [one for example in examples for one in example.sequences]
        reference = self._log_probs_before(model, sequences, device) if self._objective.contrasts else None
        values = self._layout.values(model, sequences, self._pad_id, device, nats)
        loss, metrics = self._objective.summed(Scored(examples, -_by_sequence(values[:, 0], sequences), reference))
        shares = [metrics[name].detach() / sizes.contrasted for name in self._objective.metrics]
        return torch.stack([loss / sizes.loss, *shares])

    def _log_probs_before(self, model: Any, sequences: Sequence[Example], device: Any) -> torch.Tensor:
        """Log-probabilities of the reference [sequences]."""
        with as_before_training(model):
            return -_by_sequence(self._layout.values(model, sequences, self._pad_id, device, nats)[:, 0], sequences)


def _by_sequence(values: torch.Tensor, sequences: Sequence[Example]) -> torch.Tensor:
    """Values [targets] summed over each sequence."""
    return torch.stack([part.sum() for part in values.split([one.target_tokens for one in sequences])])
