"""Attention that stays within each of several sequences packed end to end in one row.

In: queries, keys and values of the row, and where its sequences begin. Out: the same as for each sequence alone.
Registered with transformers under a name of its own, so any model that uses that registry can be packed; models then
build no mask, which would need memory quadratic in the row's length.

On CUDA in half precision, PyTorch's variable-length flash attention does it in one call; elsewhere each sequence is one
call of `scaled_dot_product_attention`, which on a CPU was faster than padding (tests/bench/train_layouts.py).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from inspect import signature
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention

from crescent.core.errors import UserError
from crescent.training.wrapped import PROBE_TOKENS, base_of, without_dropout

NAME = "crescent_packed"
FLASH_HEAD = 256
"""The largest head size that flash attention supports."""
TOLERANCES = {torch.float32: 0.001, torch.bfloat16: 0.05, torch.float16: 0.05}
"""RMS difference, in standard deviations of the logits: rounding stays below, attention to a neighbour exceeds it."""


@dataclass(frozen=True, slots=True)
class Segments:
    """Where the sequences of a row are. `bounds` int32 (sequences + 1,), `positions` int64 (1, tokens)."""

    lengths: tuple[int, ...]
    bounds: torch.Tensor
    positions: torch.Tensor

    @classmethod
    def of(cls, lengths: Sequence[int], device: Any) -> "Segments":
        """The segments of sequences with these lengths, in this order."""
        bounds = torch.zeros(len(lengths) + 1, dtype=torch.int32)
        bounds[1:] = torch.tensor(lengths).cumsum(0)
        positions = torch.cat([torch.arange(length) for length in lengths])[None]
        return cls(tuple(lengths), bounds.to(device), positions.to(device))


def attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    segments: Segments | None = None,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    """Causal attention within each segment. Input tensors (1, heads, tokens, size), output (1, tokens, heads, size)."""
    if others.get("s_aux") is not None or others.get("position_bias") is not None:
        raise UserError(
            "train/batching=packed: this model's attention has sinks or a position bias, which packing does not "
            "support; choose train/batching=grouped"
        )
    assert query.shape[0] == 1 and attention_mask is None, "a packed batch is one row"
    # under autocast, float32 rotary embeddings make queries and keys float32 while values are in half precision
    query, key = query.to(value.dtype), key.to(value.dtype)
    if segments is None:  # a model that does not pass its arguments on: the check before training detects it
        segments = Segments.of([query.shape[2]], query.device)
    if _flash(query, softcap, dropout):
        return _varlen(query, key, value, scaling, sliding_window, segments), None
    outs = [
        _attend_one(q, k, v, scaling, sliding_window, softcap, dropout)
        for q, k, v in zip(
            query.split(segments.lengths, 2), key.split(segments.lengths, 2), value.split(segments.lengths, 2),
            strict=True,
        )
    ]  # fmt: skip
    return torch.cat(outs, 2).transpose(1, 2).contiguous(), None


def _flash(query: torch.Tensor, softcap: float | None, dropout: float) -> bool:
    half = query.dtype in (torch.bfloat16, torch.float16)
    plain = softcap is None and dropout == 0.0 and query.shape[-1] <= FLASH_HEAD
    if not (query.is_cuda and half and plain and varlen_attention() is not None):
        return False
    return torch.cuda.get_device_capability(query.device)[0] >= 8


@cache
def varlen_attention() -> Any:
    """PyTorch's varlen_attn if it supports a scale and a window; torch 2.10 has it without them, earlier releases not
    at all."""
    if not find_spec("torch.nn.attention.varlen"):
        return None
    from torch.nn.attention.varlen import varlen_attn

    return varlen_attn if {"scale", "window_size"} <= signature(varlen_attn).parameters.keys() else None


def _varlen(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float | None, window: int | None, at: Segments
) -> torch.Tensor:
    attention, heads, keys = varlen_attention(), query.shape[1], key.shape[1]
    shared = {"enable_gqa": True} if heads != keys and "enable_gqa" in signature(attention).parameters else {}
    if heads != keys and not shared:  # an older torch: keys and values are written out for every head
        key, value = (x.repeat_interleave(heads // keys, 1) for x in (key, value))
    rows = [x[0].transpose(0, 1).contiguous() for x in (query, key, value)]
    longest = max(at.lengths)
    left = -1 if window is None or window >= longest else window - 1
    return attention(
        *rows, at.bounds, at.bounds, longest, longest, scale=scaling, window_size=(left, 0), **shared
    )[None]  # fmt: skip


def _attend_one(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float | None, window: int | None,
    softcap: float | None, dropout: float,
) -> torch.Tensor:  # fmt: skip
    tokens, shared = query.shape[2], query.shape[1] != key.shape[1]
    plain = window is None or tokens <= window
    if plain and softcap is None:
        return scaled_dot_product_attention(
            query, key, value, is_causal=True, scale=scaling, dropout_p=dropout, enable_gqa=shared
        )
    mask = torch.ones(tokens, tokens, dtype=torch.bool, device=query.device).tril()
    if not plain:
        assert window is not None
        mask = mask.triu(1 - window)
    if softcap is None:
        return scaled_dot_product_attention(
            query, key, value, attn_mask=mask, scale=scaling, dropout_p=dropout, enable_gqa=shared
        )
    key, value = (x.repeat_interleave(query.shape[1] // x.shape[1], 1) for x in (key, value))
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    scores = softcap * torch.tanh(query @ key.transpose(2, 3) * scale / softcap)
    chances = scores.masked_fill(~mask, float("-inf")).softmax(-1, dtype=torch.float32).to(query.dtype)
    return torch.nn.functional.dropout(chances, dropout) @ value


@contextmanager
def attention_of(model: Any) -> Iterator[None]:
    """The model's own attention, unchanged."""
    yield


@contextmanager
def packed_attention(model: Any) -> Iterator[None]:
    """Inside the context `model` attends within segments. Raises UserError if its attention cannot be replaced."""
    from transformers import AttentionInterface

    base = base_of(model)
    before = base.config._attn_implementation
    AttentionInterface.register(NAME, attend)
    base.set_attn_implementation(NAME)
    if base.config._attn_implementation != NAME:
        raise UserError(_refusal(base))
    try:
        yield
    finally:
        base.set_attn_implementation(before)


def check_separate(model: Any, sequences: Sequence[Sequence[int]]) -> None:
    """Raises UserError if two sequences in one row do not score as they do alone (for example with state-space
    layers)."""
    parts = [list(ids)[:PROBE_TOKENS] for ids in sequences[:2]]
    if len(parts) < 2:
        return
    device = next(model.parameters()).device
    with torch.no_grad(), without_dropout(model):
        alone = torch.cat([_logits(model, [ids], device) for ids in parts])
        together = _logits(model, parts, device)
    error = (alone.float() - together.float()).square().mean().sqrt() / alone.float().std()
    if not error <= TOLERANCES[together.dtype]:
        raise UserError(_refusal(base_of(model)))


def _logits(model: Any, sequences: list[list[int]], device: Any) -> torch.Tensor:
    segments = Segments.of([len(ids) for ids in sequences], device)
    ids = torch.tensor([[token for ids in sequences for token in ids]], device=device)
    found = model(input_ids=ids, position_ids=segments.positions, use_cache=False, segments=segments)
    return found.logits[0]


def _refusal(base: Any) -> str:
    return (
        f"train/batching=packed: sequences of a {base.config.model_type} model would attend to each other in one row; "
        "choose train/batching=grouped"
    )
