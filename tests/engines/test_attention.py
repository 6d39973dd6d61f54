"""Attention that a configuration asks for and the default implementation leaves out: Gemma 2's soft cap, sinks."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from conftest import save_tokenizer
from transformers import AutoModelForCausalLM, Gemma2Config, LlamaConfig

from crescent.engines import Prompt, Sampling, attention
from crescent.engines.attention import needed_attention
from crescent.engines.identity import identity
from crescent.engines.transformers.blocks import is_supported
from crescent.engines.transformers.continuous import why_not
from crescent.engines.transformers.engine import TransformersEngine
from crescent.engines.weights import Weights, load
from crescent.training.data import Example
from crescent.training.head import nats
from crescent.training.layouts import PackedLayout, PaddedLayout
from crescent.training.methods import Lora
from crescent.training.packing import packed_attention

CAP = 2.0  # low enough to decide what a random model says
SHAPE: dict[str, Any] = {
    "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "head_dim": 8,
    "num_key_value_heads": 2, "max_position_embeddings": 512, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2,
    "sliding_window": 16, "initializer_range": 0.3,
}  # fmt: skip
EXAMPLES = [Example("a", (5, 6, 7, 8, 9), 2), Example("b", tuple(range(20, 60)), 3)]


def save_gemma(folder: Path, cap: float | None) -> Path:
    vocabulary = save_tokenizer(folder)
    torch.manual_seed(0)
    config = Gemma2Config(
        vocab_size=vocabulary,
        query_pre_attn_scalar=1,
        attn_logit_softcapping=cap,
        final_logit_softcapping=None,
        **SHAPE,
    )
    transformers.Gemma2ForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def gemma(tmp_path_factory: pytest.TempPathFactory) -> Weights:
    return Weights("gemma", str(save_gemma(tmp_path_factory.mktemp("gemma"), CAP)))


@pytest.fixture(scope="module")
def capped(gemma: Weights) -> Any:
    """The reference: what computes the cap in every release."""
    return AutoModelForCausalLM.from_pretrained(gemma.path, attn_implementation="eager").eval()


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=torch.tensor([EXAMPLES[1].ids])).logits


def test_a_soft_capped_model_is_loaded_with_its_cap(gemma: Weights, capped: Any, tmp_path: Path) -> None:
    torch.testing.assert_close(logits(load(gemma, "cpu")[0]), logits(capped))
    uncapped = AutoModelForCausalLM.from_pretrained(save_gemma(tmp_path, None), attn_implementation="eager")
    assert (logits(uncapped) - logits(capped)).abs().max() > 0.1  # the cap is felt


def test_a_soft_capped_model_is_trained_with_its_cap_in_both_layouts(gemma: Weights, capped: Any) -> None:
    model, _ = Lora(rank=2, alpha=4, dropout=0.0, target_modules="all-linear").load(gemma)  # B is 0: the plain model
    expected = PaddedLayout().values(capped, EXAMPLES, 2, "cpu", nats).sum()
    torch.testing.assert_close(PaddedLayout().values(model, EXAMPLES, 2, "cpu", nats).sum(), expected)
    with packed_attention(model):
        torch.testing.assert_close(PackedLayout().values(model, EXAMPLES, 2, "cpu", nats).sum(), expected)


def test_padded_batches_write_what_a_soft_capped_model_writes_alone(gemma: Weights, capped: Any) -> None:
    engine = TransformersEngine(*load(gemma, "cpu"), "w", 8)
    for text, made in zip(texts := ["How?", "Tom has 12 apples. " * 4], engine.generate(
        [Prompt(text) for text in texts], Sampling(temperature=0, max_new_tokens=24)
    ), strict=True):  # fmt: skip
        ids = torch.tensor([engine.encode(Prompt(text))])
        generated = capped.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=24, do_sample=False)
        assert made.text == engine.tokenizer.decode(generated[0, ids.shape[1] :], skip_special_tokens=True)


def test_a_soft_capped_model_is_not_decoded_where_its_cap_would_be_lost(gemma: Weights) -> None:
    model, _ = load(gemma, "cpu")
    assert "soft-capped" in str(why_not(model)) and not is_supported(model)


def test_the_attention_is_in_the_key_where_it_is_not_the_default(
    gemma: Weights, tiny_llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    llama = Weights("llama", str(tiny_llama))
    capped, plain = identity(gemma), identity(llama)
    monkeypatch.setattr(attention, "needed_attention", lambda _: None)
    assert identity(gemma) != capped and identity(llama) == plain


def test_a_text_model_inside_another_is_looked_at() -> None:
    assert needed_attention({"text_config": {"attn_logit_softcapping": 50.0}}) == "eager"
    assert needed_attention({"model_type": "llama"}) is None and needed_attention(LlamaConfig()) is None


def test_sinks_are_decoded_with_and_packing_refuses_them() -> None:
    torch.manual_seed(0)
    shape = SHAPE | {"layer_types": ["sliding_attention", "full_attention"], "vocab_size": 64}
    model: Any = transformers.GptOssForCausalLM(
        transformers.GptOssConfig(**shape, num_local_experts=2, num_experts_per_tok=1)
    ).eval()
    assert model.config._attn_implementation == "eager" and not is_supported(model)  # eager has sinks, blocks have not
    with packed_attention(model), pytest.raises(ValueError, match=r"sinks.*choose train/batching=grouped"):
        PackedLayout().values(model, EXAMPLES, 2, "cpu", nats).sum()
