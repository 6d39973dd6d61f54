"""What real models say here is what `generate` of the library says, token for token."""

from typing import Any

import pytest
import torch

from crescent.engines import Completion, Prompt, Sampling
from crescent.engines.transformers.engine import TransformersEngine
from crescent.engines.turns import end_tokens
from crescent.engines.weights import Weights, load

from .by_sample import GEMMA3, SMOLLM2

pytestmark = [pytest.mark.real, pytest.mark.timeout(1800)]
QUESTIONS = (
    "What is 12 + 30?", "Name three fruits.", "Write a short poem about the sea.", "Tom has 12 apples.",
    "Why is the sky blue? Answer in one sentence.", "List the days of the week.\n\n1. Monday", "Hello!",
    "Use your creativity, create one unique, special, diverse, high school level math word problem. Please provide "
    "only the problem, no any other words.",
)  # fmt: skip
NEW_TOKENS = 96


@pytest.fixture(scope="module", params=[SMOLLM2, GEMMA3], ids=lambda weights: weights.name)
def loaded(request: pytest.FixtureRequest) -> tuple[Any, Any]:
    return load(request.param, "cpu")


def by_library(model: Any, tokenizer: Any, ids: list[int]) -> list[int]:
    """The new tokens of the library's greedy decoding, the end included."""
    made = model.generate(
        torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long), do_sample=False,
        max_new_tokens=NEW_TOKENS, eos_token_id=sorted(end_tokens(model.generation_config, tokenizer)),
    )  # fmt: skip
    return made[0, len(ids) :].tolist()


def test_greedy_texts_of_a_batch_equal_generate_token_for_token(loaded: tuple[Any, Any]) -> None:
    model, tokenizer = loaded
    engine = TransformersEngine(model, tokenizer, "real", batching="padded")
    made = engine.generate(QUESTIONS, Sampling(0.0, max_new_tokens=NEW_TOKENS))
    ends = end_tokens(model.generation_config, tokenizer)
    for question, completion in zip(QUESTIONS, made, strict=True):
        tokens = by_library(model, tokenizer, list(engine.encode(Prompt(question))))
        ended = tokens[-1] in ends
        assert completion.text == tokenizer.decode(tokens[:-1] if ended else tokens), question
        assert (completion.new_tokens, completion.finish_reason) == (len(tokens), "stop" if ended else "length")


def test_a_drawn_text_does_not_depend_on_the_batch(loaded: tuple[Any, Any]) -> None:
    def drawn(rows: int) -> list[Completion]:
        engine = TransformersEngine(*loaded, "real", rows, batching="padded")
        return engine.generate([Prompt(one, 1) for one in QUESTIONS], Sampling(0.7, max_new_tokens=48, seed=3))

    assert drawn(8) == drawn(3)


@pytest.mark.parametrize("weights", [SMOLLM2, GEMMA3], ids=lambda weights: weights.name)
def test_the_model_knows_what_it_learned(weights: Weights) -> None:
    """Weights that were read wrongly (permuted, scaled) say nothing of the kind."""
    engine = TransformersEngine(*load(weights, "cpu"), "real")
    (said,) = engine.generate(["What is the capital of France?"], Sampling(0.0, max_new_tokens=16))
    assert "Paris" in said.text
