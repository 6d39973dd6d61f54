"""A tiny model that has learned to think before it answers, as DeepSeek R1 or Qwen3 do."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from conftest import CHATML, save_tiny_model
from teaching import fit
from transformers import AutoModelForCausalLM, AutoTokenizer

import crescent.organism
from crescent.core.records import QAPair
from crescent.training.data import collate, encode_pairs

ORGANISM = Path(crescent.organism.__file__).parent / "weights" / "organism"
PROMPT = "<|assistant|>\n{% endif %}"
OPENS = CHATML.replace(PROMPT, "<|assistant|>\n<think>\n{% endif %}").replace(
    "{{ message['content'] }}<|end|>{% endgeneration %}",
    "{{ message['content'].split('</think>')[-1] }}<|end|>{% endgeneration %}",
)
"""The prompt opens the thought, and earlier thoughts are dropped (DeepSeek R1)."""
SWITCHED = CHATML.replace(
    PROMPT, "<|assistant|>\n{% if enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
).replace(
    "{% generation %}",
    "{% generation %}{% if '</think>' not in message['content'] %}<think>\n\n</think>\n\n{% endif %}",
)
"""Thinking is on unless it is switched off, and an answer without a thought gets an empty one (Qwen3)."""


def save_qwen_3(folder: Path, tokenizer: Path) -> Path:
    """A random Qwen3 of two layers with the real tokenizer and chat template in `tokenizer`."""
    from transformers import Qwen3Config, Qwen3ForCausalLM

    real: Any = AutoTokenizer.from_pretrained(tokenizer)
    real.save_pretrained(folder)
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=len(real), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=8, max_position_embeddings=2048, bos_token_id=None, tie_word_embeddings=True,
        eos_token_id=real.eos_token_id, pad_token_id=real.pad_token_id,
    )  # fmt: skip
    Qwen3ForCausalLM(config).save_pretrained(folder)
    return folder


def save_thinking(folder: Path, template: str, pairs: Sequence[tuple[str, str]], steps: int = 120) -> Path:
    """A tiny Llama in `folder`, taught to answer as `pairs` of prompt and text do, thoughts included."""
    return teach(save_tiny_model(folder, template=template), pairs, steps)


def teach(folder: Path, pairs: Sequence[tuple[str, str]], steps: int = 120) -> Path:
    """The model in `folder`, taught to answer so."""
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    model: Any = AutoModelForCausalLM.from_pretrained(folder)
    torch.manual_seed(0)
    learned = [QAPair(str(n), prompt, text, "", 1, 1, 1.0) for n, (prompt, text) in enumerate(pairs)]
    ids, labels = collate(encode_pairs(learned, tokenizer, 1024, "drop", "keep").examples, tokenizer.pad_token_id)
    fit(model, ids, labels, steps)
    model.save_pretrained(folder)
    return folder


def save_thinking_organism(
    folder: Path, question: str, said: str, opens: str = "", special: tuple[str, ...] = (), steps: int = 60
) -> Path:
    """The organism, whose head size every engine takes, taught to say `said`, control tokens included. `opens` ends its
    generation prompt, `special` are added to the tokens that decoding skips."""
    shutil.copytree(ORGANISM, folder)
    template = (folder / "chat_template.jinja").read_text().replace("{{ '<|assistant|>' }}", "<|assistant|>" + opens)
    (folder / "chat_template.jinja").write_text(template)
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_special_tokens({"additional_special_tokens": list(special)})
    tokenizer.save_pretrained(folder)
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    model.resize_token_embeddings(len(tokenizer))
    turn = [{"role": "user", "content": question}]
    prompt = tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True)
    ids, before = (
        tokenizer(text, add_special_tokens=False)["input_ids"] for text in (f"{prompt}{said}<|end|>", prompt)
    )
    labels = [-100] * len(before) + ids[len(before) :]
    torch.manual_seed(0)
    fit(model, torch.tensor([ids]), torch.tensor([labels]), steps, rate=0.002)
    model.save_pretrained(folder)
    return folder
