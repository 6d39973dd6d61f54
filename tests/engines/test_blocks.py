"""Attention in blocks of rows of like length: what is read, and that no text changes by it."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM

from crescent.engines import Prompt, Sampling
from crescent.engines.transformers import blocks
from crescent.engines.transformers.blocks import attention_by_blocks, blocks_of, in_blocks, is_supported
from crescent.engines.transformers.cache import cache_argument
from crescent.engines.transformers.engine import TransformersEngine
from crescent.engines.weights import Weights, load


def test_blocks_cover_all_rows_and_are_one_where_little_is_gained() -> None:
    lengths = [300] * 20 + [0] * 8 + [90, 40] * 18
    found = blocks_of(lengths, worth=500)
    assert [start for start, _, _ in found] == [0, *(stop for _, stop, _ in found[:-1])] and found[-1][1] == len(
        lengths
    )
    assert all(max(lengths[start:stop]) <= width for start, stop, width in found) and len(found) > 1
    assert sum((stop - start) * width for start, stop, width in found) < 0.75 * 300 * len(lengths)
    assert blocks_of(lengths, worth=1e9) == [(0, len(lengths), 300)]


def test_attention_in_blocks_is_attention() -> None:
    torch.manual_seed(0)
    model: Any = LlamaForCausalLM(LlamaConfig(
        vocab_size=50, hidden_size=64, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2,
    )).eval()  # fmt: skip
    mask = torch.zeros(24, 40, dtype=torch.long)
    lengths = [40] * 8 + [25] * 8 + [5] * 8
    for row, length in enumerate(lengths):
        mask[row, -length:] = 1
    ids, positions = torch.randint(0, 50, mask.shape), (mask.cumsum(1) - 1).clamp(min=0)

    def last_token(parts: list[blocks.Block] | None) -> torch.Tensor:
        cache = {cache_argument(model): DynamicCache(config=model.config)}
        model(ids[:, :-1], attention_mask=mask[:, :-1], position_ids=positions[:, :-1], **cache)
        with in_blocks(parts):
            return model(ids[:, -1:], attention_mask=mask, position_ids=positions[:, -1:], **cache).logits

    with torch.inference_mode():
        plain = last_token(None)
        with attention_by_blocks(model):
            parts = blocks_of(lengths, worth=0)
            assert len(parts) == 3 and torch.allclose(last_token(parts), plain, atol=1e-5)
            wrong = last_token([(0, 8, 40), (8, 16, 25), (16, 24, 3)])
    assert not torch.allclose(wrong, plain, atol=1e-3) and is_supported(model)


def test_rows_of_all_lengths_are_written_as_if_alone(tiny_llama: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    monkeypatch.setattr(
        "crescent.engines.transformers.batch.blocks_of",
        lambda lengths, worth: (seen.append(len(made := blocks_of(lengths, 0))), made)[1],
    )
    model, tokenizer = load(Weights("tiny", str(tiny_llama)), "cpu")
    prompts = [Prompt("How many apples? " * (1 + 9 * (number % 7)), number) for number in range(90)]
    drawn = Sampling(max_new_tokens=40, seed=5)
    together = TransformersEngine(model, tokenizer, "w", 48).generate(prompts, drawn)
    assert max(seen) > 3
    alone = TransformersEngine(model, tokenizer, "w", 1)
    assert together[::9] == [alone.generate([prompt], drawn)[0] for prompt in prompts[::9]]
