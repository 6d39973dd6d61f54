"""Packed linear layers: what they compute, where they are used, and that the model is left as it was."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from crescent.engines import Prompt, Sampling
from crescent.engines.transformers import packed
from crescent.engines.transformers.engine import TransformersEngine
from crescent.engines.transformers.packed import PackedLinears, is_supported
from crescent.engines.weights import Weights, load


@pytest.fixture
def model() -> Any:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=4096, hidden_size=128, intermediate_size=512, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, attention_bias=True,
    )  # fmt: skip
    made: Any = LlamaForCausalLM(config).eval()
    if not is_supported(made):
        pytest.skip("this processor has no use for packed weights")
    return made


@pytest.mark.parametrize("rows", [1, 3, 200])
def test_packed_layers_compute_what_the_layers_do(model: Any, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "LARGE", 0)
    ids = torch.randint(0, 4096, (rows, 7))
    linears = PackedLinears(model)
    assert len(linears) == 2 * 7 + 1
    with torch.inference_mode():
        plain = model(ids).logits
        with linears.in_use():
            again = model(ids).logits
        assert torch.allclose(again, plain, atol=1e-5) and torch.equal(model(ids).logits, plain)
    assert all("forward" not in module.__dict__ for module in model.modules())


def test_a_layer_is_left_alone_where_packing_does_not_pay(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, ...]] = []
    plain = torch.nn.functional.linear

    def linear(rows: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        seen.append(tuple(weight.shape))
        return plain(rows, weight, bias)

    monkeypatch.setattr(packed.functional, "linear", linear)
    with torch.inference_mode(), PackedLinears(model).in_use():
        model(torch.zeros(1, 1, dtype=torch.long))
        small = set(seen)
        seen.clear()
        model(torch.zeros(100, 4, dtype=torch.long))
    assert small == {(128, 128), (64, 128), (512, 128), (128, 512)} and not seen


def test_nothing_is_packed_where_memory_is_short(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    bytes_of_layers = sum(module.weight.nbytes for module in model.modules() if type(module) is torch.nn.Linear)
    monkeypatch.setattr(packed, "free_bytes", lambda device: bytes_of_layers / packed.MEMORY_SHARE - 8)
    assert len(PackedLinears(model)) == 0
    monkeypatch.setattr(packed, "free_bytes", lambda device: bytes_of_layers / packed.MEMORY_SHARE)
    assert len(PackedLinears(model)) == 15


def test_bfloat16_is_packed_too(model: Any) -> None:
    model = model.to(torch.bfloat16)
    if not is_supported(model):
        pytest.skip("this processor has no bfloat16")
    ids = torch.randint(0, 4096, (50, 7))
    with torch.inference_mode():
        plain = model(ids).logits
        with PackedLinears(model).in_use():
            assert torch.allclose(model(ids).logits, plain, atol=0.05)


def test_texts_do_not_depend_on_packing(tiny_llama: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokenizer = load(Weights("tiny", str(tiny_llama)), "cpu")
    prompts = [Prompt("How many apples? " * (1 + number % 3), number) for number in range(60)]
    drawn = Sampling(max_new_tokens=30, seed=5)
    if not is_supported(model):
        pytest.skip("this processor has no use for packed weights")
    monkeypatch.setattr(packed, "LARGE", 0)
    with_it = TransformersEngine(model, tokenizer, "w", 48)
    made = with_it.generate(prompts, drawn)
    monkeypatch.setattr(packed, "is_supported", lambda model: False)
    assert TransformersEngine(model, tokenizer, "w", 48).generate(prompts, drawn) == made
