"""The shipped weights: small, what the card says, loadable, and chat forms that answer."""

from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from crescent.organism.build.__main__ import WEIGHTS
from crescent.organism.build.card import CARD, FORMS, sha256


def test_all_forms_together_are_at_most_20_megabytes() -> None:
    assert sum(path.stat().st_size for path in WEIGHTS.rglob("*") if path.is_file()) <= 20_000_000


@pytest.mark.parametrize("form", FORMS)
def test_the_card_names_the_weights_that_are_shipped(form: str) -> None:
    assert f"- {form}: `{sha256(WEIGHTS / form / 'model.safetensors')}`" in CARD.read_text(encoding="utf-8")


@pytest.mark.parametrize("form", ["organism", "organism_small"])
def test_a_chat_form_ends_its_turn(form: str) -> None:
    model: Any = AutoModelForCausalLM.from_pretrained(WEIGHTS / form, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(WEIGHTS / form)
    turns = [{"role": "user", "content": "What is the capital of France?"}]
    inputs: Any = tokenizer.apply_chat_template(
        turns, add_generation_prompt=True, return_dict=True, return_tensors="pt"
    )
    assert inputs["input_ids"][0].tolist().count(tokenizer.bos_token_id) == 1
    written = model.generate(**inputs, max_new_tokens=40)[0].tolist()
    assert written[-1] == tokenizer.eos_token_id


def test_the_base_form_has_no_chat_template() -> None:
    tokenizer = AutoTokenizer.from_pretrained(WEIGHTS / "organism_base")
    assert tokenizer.chat_template is None
    assert tokenizer("Problem:").input_ids[0] == tokenizer.bos_token_id
