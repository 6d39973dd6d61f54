"""Attention for one new token per row, in blocks of rows of similar length.

In: queries of all rows, keys and values aligned at their end, and the blocks. Out: the same as attention over all
columns, without reading the padding of shorter rows. Registered with transformers under a name of its own; without
blocks it is the library's `sdpa`.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

NAME = "crescent_blocks"
LEAST_ROWS = 8
Block = tuple[int, int, int]
"""(first row, end row, number of last columns needed)."""


def is_supported(model: PreTrainedModel) -> bool:
    """True if a model can use this attention and gains from it: on a CPU, in place of the library's `sdpa`."""
    able = getattr(model, "_can_set_attn_implementation", None)  # false for models with their own attention
    sdpa = getattr(model.config, "_attn_implementation", None) == "sdpa"
    return model.device.type == "cpu" and sdpa and able is not None and able()


_blocks: ContextVar[Sequence[Block] | None] = ContextVar("blocks", default=None)
"""Blocks of the current forward pass: not every model passes extra arguments on to its attention."""


@contextmanager
def in_blocks(blocks: Sequence[Block] | None) -> Iterator[None]:
    """Sets the blocks for one forward pass."""
    token = _blocks.set(blocks)
    try:
        yield
    finally:
        _blocks.reset(token)


@contextmanager
def attention_by_blocks(model: PreTrainedModel) -> Iterator[None]:
    """Switches the model to this attention inside the block."""
    AttentionInterface.register(NAME, attend)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    model.set_attn_implementation(NAME)
    try:
        yield
    finally:
        model.set_attn_implementation("sdpa")


def blocks_of(lengths: Sequence[int], worth: float) -> list[Block]:
    """Blocks of rows, given the columns that each row needs (0: none). Neighbouring blocks are merged if that adds
    fewer than `worth` columns of padding."""
    size = max(LEAST_ROWS, -(-len(lengths) // 16))
    blocks: list[Block] = []
    for start in range(0, len(lengths), size):
        stop = min(start + size, len(lengths))
        width = max(lengths[start:stop])
        if blocks:
            first, _, before = blocks[-1]
            together = max(before, width)
            if (together - before) * (start - first) + (together - width) * (stop - start) < worth:
                blocks[-1] = (first, stop, together)
                continue
        blocks.append((start, stop, width))
    return blocks


def attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    """Input tensors [rows, heads, tokens, size]; output [rows, tokens, heads, size]."""
    row_blocks = _blocks.get()
    if row_blocks is None or attention_mask is None or query.shape[2] != 1:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **others)
    outs = []
    for start, stop, width in row_blocks:
        if not width:
            outs.append(query.new_zeros(stop - start, 1, query.shape[1], value.shape[-1]))
            continue
        rows, columns = slice(start, stop), slice(-width, None)
        mask = attention_mask[rows] if attention_mask.shape[0] > 1 else attention_mask
        outs.append(
            sdpa_attention_forward(
                module, query[rows], key[rows, :, columns], value[rows, :, columns], mask[..., columns], **others
            )[0]
        )
    return torch.cat(outs), None
