"""Losses at a model's output head, without the logits of all positions in memory at once.

In: a causal language model, its inputs, which positions predict which targets, and what to compute from the logits of a
position. Out: the values of each target.
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
Forward = Callable[[torch.Tensor], torch.Tensor]
Select = Callable[[torch.Tensor], torch.Tensor]
Term = Callable[[torch.Tensor, torch.Tensor, torch.Tensor | None], torch.Tensor]
"""Logits in float32 [positions, vocabulary], targets [positions], and the reference's logits, if they are wanted, to
values [positions, values]."""


def is_large(model: Any, positions: int) -> bool:
    """True if the logits of this many positions are too large for one piece."""
    return positions * vocabulary(model) * 4 > CHUNK_BYTES


def vocabulary(model: Any) -> int:
    """Number of logits per position."""
    return int(base_of(model).get_output_embeddings().weight.shape[0])


def values_in_chunks(
    model: Any, inputs: Mapping[str, Any], select: Select, targets: torch.Tensor, term: Term,
    beside: torch.Tensor | None = None,
) -> torch.Tensor:  # fmt: skip
    """What `term` makes of each of `targets`: [positions, values]. `select` takes the vectors [positions, hidden] that
    predict them from the input of the head [rows, tokens, hidden]; `beside` are such vectors of the reference.

    The head is called inside of the model's own forward pass, where its weights are whole even if they are sharded.
    """
    head = base_of(model).get_output_embeddings()
    rows = max(1, CHUNK_BYTES // (4 * vocabulary(model)))
    found: list[torch.Tensor] = []
    logits = head.forward
    of_reference = head.get_base_layer().forward if hasattr(head, "get_base_layer") else logits  # with its adapter off

    def forward(hidden: torch.Tensor) -> torch.Tensor:
        vectors = select(hidden)
        others = [None] * len(vectors) if beside is None else beside.split(rows)
        for part, wanted, other in zip(vectors.split(rows), targets.split(rows), others, strict=beside is not None):
            found.append(
                checkpoint(_values, term, logits, of_reference, part, wanted, other, use_reentrant=False)  # type: ignore[arg-type]
            )
        return hidden.new_zeros((*hidden.shape[:-1], 1))

    with _forward_of(head, forward):
        model(**inputs)
    return torch.cat(found)


def vectors_of(model: Any, inputs: Mapping[str, Any], select: Select) -> torch.Tensor:
    """The vectors [positions, hidden] that `select` takes from the input of the head; no logits are made."""
    head, found = base_of(model).get_output_embeddings(), list[torch.Tensor]()

    def forward(hidden: torch.Tensor) -> torch.Tensor:
        found.append(select(hidden))
        return hidden.new_zeros((*hidden.shape[:-1], 1))

    with _forward_of(head, forward):
        model(**inputs)
    return found[0]


def takes_chunks(model: Any, examples: Sequence[Sequence[int]]) -> bool:
    """True if values in chunks equal the model's own. They do not for models that scale or cap logits after the
    head."""
    device = next(model.parameters()).device
    ids = torch.tensor([list(examples[0])[:PROBE_TOKENS]], device=device)
    targets, inputs = ids[0, 1:], {"input_ids": ids, "use_cache": False}
    with torch.no_grad(), without_dropout(model):
        logits = model(**inputs).logits[0, :-1]
        whole = nats(logits.float(), targets).sum()
        chunked = values_in_chunks(model, inputs, lambda hidden: hidden[0, :-1], targets, nats).sum()
    return bool((whole - chunked).abs() <= TOLERANCE[logits.dtype] * whole.abs())


def nats(logits: torch.Tensor, targets: torch.Tensor, reference: torch.Tensor | None = None) -> torch.Tensor:
    """The negative log-likelihood of each target [positions, 1]."""
    return cross_entropy(logits, targets, reduction="none")[:, None]


def _values(
    term: Term, logits: Forward, of_reference: Forward, vectors: torch.Tensor, targets: torch.Tensor,
    beside: torch.Tensor | None,
) -> torch.Tensor:  # fmt: skip
    if beside is None:
        return term(logits(vectors).float(), targets, None)
    with torch.no_grad():
        reference = of_reference(beside).float()
    return term(logits(vectors).float(), targets, reference)


@contextmanager
def _forward_of(head: Any, forward: Callable[[torch.Tensor], torch.Tensor]) -> Iterator[None]:
    """Replaces the head's forward method inside the context."""
    head.forward = forward
    try:
        yield
    finally:
        del head.forward
