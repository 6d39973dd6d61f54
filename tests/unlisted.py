"""A tiny model whose chat template ends turns with a token that neither its generation config nor its tokenizer lists:
as base checkpoints with ChatML and the first Llama 3 have it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from conftest import save_tiny_model
from teaching import fit
from transformers import AutoModelForCausalLM, AutoTokenizer

from crescent.core.records import QAPair
from crescent.training.data import collate, encode_pairs

END, LISTED = 1, 0  # <|end|> ends turns; <s>, which nothing ends with, is what the model lists


def save_unlisted(folder: Path, pairs: Sequence[tuple[str, str]] = (), steps: int = 120) -> Path:
    """The model in `folder`, taught to answer as `pairs` of question and answer do, end of turn included."""
    save_tiny_model(folder)
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    tokenizer.eos_token = "<s>"
    tokenizer.save_pretrained(folder)
    model: Any = AutoModelForCausalLM.from_pretrained(folder)
    if pairs:
        torch.manual_seed(0)
        learned = [QAPair(str(n), question, answer, "", 1, 1, 1.0) for n, (question, answer) in enumerate(pairs)]
        ids, labels = collate(encode_pairs(learned, tokenizer, 1024).examples, 2)
        fit(model, ids, labels, steps)
    model.save_pretrained(folder)
    for name in ("generation_config.json", "config.json"):
        config = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps({**config, "eos_token_id": LISTED}))
    return folder


def save_talkative(folder: Path, question: str, answer: str, steps: int = 100) -> Path:
    """A tiny model that answers with `answer`, in which control tokens are spelled, and then ends its turn."""
    save_tiny_model(folder)
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    model: Any = AutoModelForCausalLM.from_pretrained(folder)
    chat = [{"role": "user", "content": question}]
    prompt = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    ids = tokenizer(f"{prompt}{answer}<|end|>", add_special_tokens=False, return_tensors="pt")["input_ids"]
    fit(model, ids, ids, steps)
    model.save_pretrained(folder)
    return folder
