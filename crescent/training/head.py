"""The loss at a model's output head, without the logits of all positions in memory at once.

In: a causal language model, its inputs, and which positions predict which targets. Out: the summed cross-entropy.
Logits in float32 are the largest tensor of most trainings: 16 sequences of 400 tokens over a vocabulary of 128,256 need
3.3 GB, and as much again for their logarithms and for their gradients. Here a chunk of positions at a time goes through
the head, and again in the backward pass. Up to `CHUNK_BYTES` the logits are left in one piece.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn.functional import cross_entropy
from torch.utils.checkpoint import checkpoint

from crescent.training.wrapped import PROBE_TOKENS, base_of, without_dropout

CHUNK_BYTES = 256 << 20
"""Of float32 logits. The organism's default run stays below it."""
TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 0.02, torch.float16: 0.02}
"""Relative difference of the losses: rounding is below it, logits that are changed after the head are above it."""
Select = Callable[[torch.Tensor], torch.Tensor]


def is_large(model: Any, positions: int) -> bool:
    """True if the logits of this many positions are too large for one piece."""
    return positions * vocabulary(model) * 4 > CHUNK_BYTES


def vocabulary(model: Any) -> int:
    """Number of logits per position."""
    return int(base_of(model).get_output_embeddings().weight.shape[0])


def summed_loss_in_chunks(model: Any, inputs: Mapping[str, Any], select: Select, targets: torch.Tensor) -> torch.Tensor:
    """Nats, summed over `targets` [positions]; a scalar. `select` takes the vectors [positions, hidden] that predict
    them from the input of the head [rows, tokens, hidden].

    The head is called inside of the model's own forward pass, where its weights are whole even if they are sharded.
    """
    head = base_of(model).get_output_embeddings()
    rows = max(1, CHUNK_BYTES // (4 * vocabulary(model)))
    losses: list[torch.Tensor] = []
    logits = head.forward

    def forward(hidden: torch.Tensor) -> torch.Tensor:
        vectors = select(hidden)
        parts = zip(vectors.split(rows), targets.split(rows), strict=True)
        losses.extend(checkpoint(_loss, logits, *part, use_reentrant=False) for part in parts)
        return hidden.new_zeros((*hidden.shape[:-1], 1))

    with _forward_of(head, forward):
        model(**inputs)
    return torch.stack(losses).sum()


def takes_chunks(model: Any, examples: Sequence[Sequence[int]]) -> bool:
    """True if the loss in chunks equals the model's own. It does not for models that scale or cap logits after the
    head."""
    device = next(model.parameters()).device
    ids = torch.tensor([list(examples[0])[:PROBE_TOKENS]], device=device)
    targets, inputs = ids[0, 1:], {"input_ids": ids, "use_cache": False}
    with torch.no_grad(), without_dropout(model):
        logits = model(**inputs).logits[0, :-1]
        whole = cross_entropy(logits.float(), targets, reduction="sum")
        chunked = summed_loss_in_chunks(model, inputs, lambda hidden: hidden[0, :-1], targets)
    return bool((whole - chunked).abs() <= TOLERANCE[logits.dtype] * whole.abs())


def _loss(logits: Callable[[torch.Tensor], torch.Tensor], vectors: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return cross_entropy(logits(vectors).float(), targets, reduction="sum")


@contextmanager
def _forward_of(head: Any, forward: Callable[[torch.Tensor], torch.Tensor]) -> Iterator[None]:
    """Replaces the head's forward method inside the context."""
    head.forward = forward
    try:
        yield
    finally:
        del head.forward
