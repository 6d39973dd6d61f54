"""Models that think aloud are refused: by their chat template, by what they wrote, by a server's fields."""

import os
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from crescent.engines.server import ServerSettings
from crescent.engines.thoughts import check_texts, tag_in, why_thinking
from crescent.engines.weights import Weights, check

REAL = os.environ.get("CRESCENT_TOKENIZERS")
needs_files = pytest.mark.skipif(REAL is None, reason="CRESCENT_TOKENIZERS is not set: no real tokenizers here")
NAMES = ("llama2", "llama3", "llama3_1", "llama3_2", "qwen2_5", "qwen3", "gemma3", "deepseek_v3")
TURNS = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'].split('</think>')[-1] }}<|end|>"
    "{% endfor %}"
)
OPENS = TURNS + "{% if add_generation_prompt %}<|assistant|><think>\n{% endif %}"  # DeepSeek R1 of May 2025
CLOSES = TURNS + (  # DeepSeek V3.1
    "{% if add_generation_prompt %}<|assistant|>{% if thinking %}<think>{% else %}</think>{% endif %}{% endif %}"
)
SWITCHED_ON = TURNS + (  # Qwen 3
    "{% if add_generation_prompt %}<|assistant|>{% if enable_thinking is defined and enable_thinking is false %}"
    "<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
SWITCHED_OFF = "{% if thinking %}<|system|>Show your thought process.<|end|>{% endif %}" + TURNS  # Granite 3
TOLD = "<|system|>First reason between <think> and </think>, then answer.<|end|>" + TURNS  # Phi 4 reasoning
PLACE = TURNS.replace("<|end|>", "{% if message.reasoning_content %}{{ message.reasoning_content }}{% endif %}<|end|>")
CHANNELS = TURNS + "{% if add_generation_prompt %}<|channel|>analysis<|message|>{% endif %}"  # gpt-oss


def why(folder: Path, template: str) -> str | None:
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = template
    return why_thinking(tokenizer)


@needs_files
@pytest.mark.parametrize("name", NAMES)
def test_of_real_templates_only_qwen_3_s_is_of_a_model_that_thinks(name: str) -> None:
    found = why_thinking(AutoTokenizer.from_pretrained(Path(str(REAL)) / name))
    assert found == ("its chat template has thinking switched on" if name == "qwen3" else None)


@needs_files
def test_qwen_3_is_taken_with_its_thinking_switched_off_as_the_mend_says() -> None:
    tokenizer: Any = AutoTokenizer.from_pretrained(Path(str(REAL)) / "qwen3")
    tokenizer.chat_template = "{% set enable_thinking = false %}" + tokenizer.chat_template
    assert why_thinking(tokenizer) is None


@pytest.mark.parametrize(
    ("template", "sign"),
    [
        (OPENS, "opens <think>"), (SWITCHED_ON, "has thinking switched on"), (TOLD, "opens <think>"),
        (PLACE, "has a place for thoughts"), (CHANNELS, "opens <|channel|>analysis"),
    ],
)  # fmt: skip
def test_a_template_that_lets_a_model_think_tells_how(template: str, sign: str, tiny_llama: Path) -> None:
    assert sign in str(why(tiny_llama, template))


@pytest.mark.parametrize("template", [TURNS, CLOSES, SWITCHED_OFF, "{{ messages[0]['content'] }} I think."])
def test_a_template_that_only_takes_thoughts_out_or_has_them_off_is_not_of_a_thinking_model(
    template: str, tiny_llama: Path
) -> None:
    assert why(tiny_llama, template) is None


def test_a_thinking_model_is_refused_by_name_whatever_the_engine(tiny_llama: Path, tmp_path: Path) -> None:
    for file in tiny_llama.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "chat_template.jinja").write_text(SWITCHED_ON)
    weights = Weights("thinker", str(tmp_path))
    line = r"model 'thinker' thinks aloud .*thinking switched on.*begins with \{% set enable_thinking = false %\}"
    for refuse in (check, ServerSettings(("http://a/v1",)).check):
        with pytest.raises(ValueError, match=line):
            refuse(weights)


@pytest.mark.parametrize("tag", ["<think>", "</think>", "<thinking>", "<|begin_of_thought|>", "[THINK]", "<thought>"])
def test_thinking_tags_are_known(tag: str) -> None:
    assert tag_in(f"{tag}First, ...") == tag


@pytest.mark.parametrize("text", ["I think 3 < 5 > 2.", "Do you think so?", "f<thinker>(x)", "a <b> c"])
def test_other_words_are_no_thinking_tags(text: str) -> None:
    assert tag_in(text) is None


def test_one_tag_by_chance_refuses_no_model_and_many_do() -> None:
    check_texts("m", ["How many?"] * 99 + ["<think>"])
    with pytest.raises(ValueError, match=r"model 'm' thinks aloud .*6 of 100 texts that it wrote hold <think>"):
        check_texts("m", ["How many?"] * 94 + ["<think>"] * 6)
