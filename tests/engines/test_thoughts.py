"""Models that think: told by their chat template; their thoughts in prompts, tokens and texts."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from crescent.answers.thoughts import without_thoughts
from crescent.core.console import Console
from crescent.engines.thoughts import Answers, Decoder, cut_at_stops, open_thought, why_thinking
from crescent.engines.weights import Weights, check, load_tokenizer
from crescent.observers.narration import tell_thinking

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


def why(folder: Path, template: str | dict[str, str]) -> str | None:
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = template
    return why_thinking(tokenizer)


@needs_files
@pytest.mark.parametrize("name", NAMES)
def test_of_real_templates_only_qwen_3_s_is_of_a_model_that_thinks(name: str) -> None:
    found = why_thinking(AutoTokenizer.from_pretrained(Path(str(REAL)) / name))
    assert found == ("its chat template has thinking switched on" if name == "qwen3" else None)


@needs_files
def test_qwen_3_does_not_think_with_its_switch_off() -> None:
    folder = Path(str(REAL)) / "qwen3"
    weights = Weights("qwen3", str(folder), chat_template_kwargs={"enable_thinking": False})
    assert why_thinking(load_tokenizer(weights)) is None


@pytest.mark.parametrize(
    ("template", "sign"),
    [
        (OPENS, "opens <think>"), (SWITCHED_ON, "has thinking switched on"), (TOLD, "opens <think>"),
        (PLACE, "has a place for thoughts"), (CHANNELS, "opens <|channel|>analysis"),
    ],
)  # fmt: skip
def test_a_template_that_lets_a_model_think_tells_how(template: str, sign: str, tiny_llama: Path) -> None:
    assert sign in str(why(tiny_llama, template))
    assert sign in str(why(tiny_llama, {"default": template, "tool_use": TURNS}))


@pytest.mark.parametrize("template", [TURNS, CLOSES, SWITCHED_OFF, "{{ messages[0]['content'] }} I think."])
def test_a_template_that_only_takes_thoughts_out_or_has_them_off_is_not_of_a_thinking_model(
    template: str, tiny_llama: Path
) -> None:
    assert why(tiny_llama, template) is None


TAGS = ("<think>", "<thinking>", "<|begin_of_thought|>", "[THINK]", "<thought>", "<seed:think>")


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("space", ["", "\n"])
def test_the_thought_that_a_prompt_opens_belongs_to_the_completion(tag: str, space: str) -> None:
    assert open_thought(f"How many?<|assistant|>{tag}{space}") == tag + space


@pytest.mark.parametrize("prompt", ["<|assistant|>", "<think>\n\n</think>\n\n", "What is <think>?<|assistant|>\n", ""])
def test_other_prompts_open_no_thought(prompt: str) -> None:
    assert open_thought(prompt) == ""


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("<think>a\n\nb</think>\n\n7 left\n\nQ: 8", "<think>a\n\nb</think>\n\n7 left"),
        ("a\n\nb</think>7\n\n8", "a\n\nb</think>7"),
        ("<think>a\n\nb", "<think>a\n\nb"),
        ("<think>a</think><think>b\n\n</think> 7\n\n8", "<think>a</think><think>b\n\n</think> 7"),
        ("7\n\n8 <think>\n\n</think>", "7"),
        ("7\n\n8", "7"),
        ("Sure. <think>a\n\nb</think>\n\n7 left\n\nQ: 8", "Sure. <think>a\n\nb</think>\n\n7 left"),
        ("Sure. <think>a\n\nb", "Sure. <think>a\n\nb"),
        ("\n\n<think>a</think>7\n\n8", "\n\n<think>a</think>7"),
        (
            "<|channel|>analysis<|message|>a\n\nb<|end|><|start|>assistant<|channel|>final<|message|>7\n\n8",
            "<|channel|>analysis<|message|>a\n\nb<|end|><|start|>assistant<|channel|>final<|message|>7",
        ),
    ],
)
def test_stop_strings_end_the_answer_and_never_the_thought(text: str, cut: str) -> None:
    assert cut_at_stops(text, ("\n\n", "")) == cut


def with_special_marks(folder: Path) -> Any:
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_special_tokens({"additional_special_tokens": ["[THINK]", "[/THINK]", "<|other|>"]})
    return tokenizer


def test_tags_that_are_special_tokens_stay_in_the_text_and_other_special_tokens_do_not(tiny_llama: Path) -> None:
    tokenizer = with_special_marks(tiny_llama)
    ids = tokenizer("[THINK]13?[/THINK]12<|other|>", add_special_tokens=False)["input_ids"]
    assert without_thoughts(tokenizer.decode(ids, skip_special_tokens=True)) == "13?12"  # as decoding has it
    assert Decoder(tokenizer)(ids) == "[THINK]13?[/THINK]12"
    plain = tokenizer("12<|other|>", add_special_tokens=False)["input_ids"]
    assert Decoder(tokenizer)(plain) == "12"


@pytest.mark.parametrize(
    ("opened", "text", "answer"),
    [
        ("", "<think>a b c</think>\n\n7 left", "7 left"), ("<think>\n", "a b c\n</think>\n\n7 left", "7 left"),
        ("", "a b</think>7", "7"), ("", "7 left <think>", None), ("<think>", "a b c", None),
        ("", "<think>" + "a \n\n" * 40 + "</think>7", "7"), ("", "<think>a</think>", ""), ("", "a <think>b", None),
        ("", "7 <think>a</think> left", " left"), ("", "a <think>b</think> [THINK]c[/THINK]d", "d"),
    ],
)  # fmt: skip
def test_the_tokens_of_an_answer_are_found_at_whatever_length_it_is_looked_for(
    opened: str, text: str, answer: str | None, tiny_llama: Path
) -> None:
    tokenizer: Any = AutoTokenizer.from_pretrained(tiny_llama)
    decode = Decoder(tokenizer)
    answers, ids = Answers(decode), tokenizer(text, add_special_tokens=False)["input_ids"]
    for length in range(1, len(ids)):  # as it grows
        answers.start(0, ids[:length], opened)
    start = answers.start(0, ids, opened)
    assert (None if start is None else decode(ids[start:])) == answer


def test_models_that_think_are_told_with_their_switch_and_their_room(
    tiny_llama: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    for file in tiny_llama.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "chat_template.jinja").write_text(SWITCHED_ON)
    thinker = Weights("thinker", str(tmp_path))
    check(thinker)
    tell_thinking(Console(), [thinker])
    assert "thinker thinks before it answers (its chat template has thinking switched on)" in capsys.readouterr().err
    assert "thinking_tokens=0" in caplog.text
    for quiet in (replace(thinker, chat_template_kwargs={"enable_thinking": False}), Weights("tiny", str(tiny_llama))):
        tell_thinking(Console(), [quiet])
        assert capsys.readouterr().err == ""
