"""The loss in chunks is the loss: value, gradients, memory; and only where a model's logits come from its head as they
are."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, Gemma2Config, LlamaConfig

from crescent.training import head, layouts
from crescent.training.data import Example
from crescent.training.head import nats
from crescent.training.layouts import Layout, PackedLayout, PaddedLayout

EXAMPLES = [
    Example("a", (1, 5, 6, 7, 8, 9), 3), Example("b", (1, 4, 3, 2), 1), Example("c", (1, 9, 9, 8, 7, 6, 5, 4), 2)
]  # fmt: skip
SIZES: dict[str, Any] = {
    "vocab_size": 64, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2,
    "num_key_value_heads": 1,
}  # fmt: skip


def model_of(config: Any, attention: str = "sdpa") -> Any:
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(config, attn_implementation=attention).train()


@pytest.fixture
def model() -> Any:
    return model_of(LlamaConfig(**SIZES, tie_word_embeddings=True))


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Chunks of three positions; yields the sizes of those that went through the head."""
    monkeypatch.setattr(head, "CHUNK_BYTES", 3 * 64 * 4)
    sizes: list[int] = []
    values = head._values

    def watched(*given: Any) -> torch.Tensor:
        sizes.append(len(given[4]))
        return values(*given)

    monkeypatch.setattr(head, "_values", watched)
    yield sizes


def gradients(model: Any, layout: Layout) -> tuple[float, dict[str, torch.Tensor]]:
    model.zero_grad()
    with layout.prepare(model):
        loss = layout.values(model, EXAMPLES, 0, "cpu", nats).sum()
        loss.backward()
    return loss.item(), {name: value.grad.clone() for name, value in model.named_parameters()}


@pytest.mark.parametrize("kind", [PaddedLayout, PackedLayout])
@pytest.mark.parametrize("keeps", [True, False])
def test_chunks_give_the_loss_and_the_gradients_of_one_piece(
    kind: type, keeps: bool, model: Any, small_chunks: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crescent.training.layouts.takes_logits_to_keep", lambda _: keeps)
    whole, expected = gradients(model, kind())
    assert not small_chunks
    layout = kind()
    with layout.prepare(model):
        layout.check(model, EXAMPLES, 1000)
    small_chunks.clear()
    loss, found = gradients(model, layout)
    assert loss == pytest.approx(whole, rel=1e-6)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    targets = sum(len(one.ids) - one.prompt_tokens for one in EXAMPLES)
    assert sum(small_chunks) == 2 * targets and max(small_chunks) == 3  # forward, and again in the backward pass


def test_a_model_that_caps_its_logits_behind_the_head_keeps_them_in_one_piece(small_chunks: list[int]) -> None:
    capped = model_of(Gemma2Config(**SIZES, head_dim=8, final_logit_softcapping=0.1), "eager")
    torch.nn.init.normal_(capped.lm_head.weight, std=3.0)
    expected = PaddedLayout().values(capped, EXAMPLES, 0, "cpu", nats).sum()
    layout = PaddedLayout()
    layout.check(capped, EXAMPLES, 1000)
    small_chunks.clear()
    assert layout.values(capped, EXAMPLES, 0, "cpu", nats).sum().equal(expected) and not small_chunks


def test_small_logits_stay_in_one_piece_and_are_not_tried(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layouts, "values_in_chunks", None)  # would raise
    layout = PaddedLayout()
    layout.check(model, EXAMPLES, 1000)
    assert layout.values(model, EXAMPLES, 0, "cpu", nats).sum().item() > 0


def test_the_head_is_whole_again_after_a_failure(model: Any, small_chunks: list[int]) -> None:
    forward = model.lm_head.forward
    with pytest.raises(ZeroDivisionError):
        inputs = {"input_ids": torch.ones(1, 4).long()}
        head.values_in_chunks(model, inputs, lambda hidden: hidden[1 // 0], torch.ones(3), nats)
    assert model.lm_head.forward == forward
