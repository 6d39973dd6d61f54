"""Real tokenizers with their chat templates, from CRESCENT_TOKENIZERS, and tiny models that use them."""

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from crescent.core.records import QAPair
from crescent.engines.weights import Weights, load_tokenizer
from crescent.training.data import collate, encode_pairs

REAL = os.environ.get("CRESCENT_TOKENIZERS")
needs_files = pytest.mark.skipif(REAL is None, reason="CRESCENT_TOKENIZERS is not set: no real tokenizers here")
ENDS = {
    "llama3": "<|eot_id|>", "llama3_1": "<|eot_id|>", "llama3_2": "<|eot_id|>", "qwen2_5": "<|im_end|>",
    "qwen3": "<|im_end|>", "gemma3": "<end_of_turn>", "deepseek_v3": "<｜end▁of▁sentence｜>", "llama2": "</s>",
}  # fmt: skip
# The chat_template in tokenizer_config.json of meta-llama/Llama-2-7b-chat-hf on the Hugging Face hub.
LLAMA_2 = (
    "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}"
    "{% set system_message = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}"
    "{% set system_message = false %}{% endif %}{% for message in loop_messages %}"
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
    "{% if loop.index0 == 0 and system_message != false %}"
    "{% set content = '<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n' + message['content'] %}"
    "{% else %}{% set content = message['content'] %}{% endif %}"
    "{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}"
    "{% elif message['role'] == 'assistant' %}{{ ' '  + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}"
)
# Qwen3 thinks unless it is told not to.
WITHOUT_THOUGHTS = {"qwen3": "{% set enable_thinking = false %}"}


def real(name: str) -> Any:
    """A real tokenizer as the library loads it; Llama 2's has no template of its own there."""
    tokenizer: Any = AutoTokenizer.from_pretrained(Path(str(REAL)) / name)
    tokenizer.chat_template = tokenizer.chat_template or LLAMA_2
    return tokenizer


def copy_tokenizer(name: str, folder: Path, before: str = "") -> Path:
    """The files of a real tokenizer in `folder`, `before` at the beginning of its chat template."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in (Path(str(REAL)) / name).iterdir():
        shutil.copyfile(file, folder / file.name)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    settings["chat_template"] = before + (settings.get("chat_template") or LLAMA_2)
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


def save_taught(name: str, folder: Path, pairs: Sequence[tuple[str, str]], steps: int = 50) -> Path:
    """A tiny model with a real tokenizer, taught to answer as `pairs` of question and answer do."""
    copy_tokenizer(name, folder, WITHOUT_THOUGHTS.get(name, ""))
    tokenizer: Any = load_tokenizer(Weights(name, str(folder)))
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=4,
            num_key_value_heads=2, max_position_embeddings=1024, tie_word_embeddings=True, bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
        )
    )  # fmt: skip
    learned = [QAPair(str(n), question, answer, "", 1, 1, 1.0) for n, (question, answer) in enumerate(pairs)]
    ids, labels = collate(encode_pairs(learned, tokenizer, 1024).examples, 0)
    rows, columns = (labels[:, 1:] >= 0).nonzero(as_tuple=True)  # logits of targets alone: the vocabulary is large
    optimizer = torch.optim.AdamW(model.parameters(), 0.02)
    for _ in range(steps):
        optimizer.zero_grad()
        states = model.model(input_ids=ids).last_hidden_state[rows, columns]
        torch.nn.functional.cross_entropy(model.lm_head(states), labels[rows, columns + 1]).backward()
        optimizer.step()
    model.save_pretrained(folder)
    return folder
