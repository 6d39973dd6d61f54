"""Targets of models that think, token by token: answers alone or with their thoughts, after whatever prompt."""

import os
from pathlib import Path
from typing import Any

import pytest
from conftest import CHATML, save_tokenizer
from transformers import AutoTokenizer

from crescent.core.records import QAPair
from crescent.engines.weights import Weights, load_tokenizer
from crescent.training.data import Encoded, encode_pairs
from crescent.training.settings import Reasoning

REAL = os.environ.get("CRESCENT_TOKENIZERS")
needs_files = pytest.mark.skipif(REAL is None, reason="CRESCENT_TOKENIZERS is not set: no real tokenizers here")
PROMPT = "<|assistant|>\n{% endif %}"
OPENS = CHATML.replace(PROMPT, "<|assistant|>\n<think>\n{% endif %}")  # DeepSeek R1
OPENS_AT_ONCE = CHATML.replace(PROMPT, "<|assistant|>\n[THINK]{% endif %}")
DROPS = CHATML.replace(
    "message['content'] }}<|end|>{% endgen", "message['content'].split('</think>')[-1] }}<|end|>{% endgen"
)
EMPTY = CHATML.replace("{% generation %}", "{% generation %}<think>\n\n</think>\n\n")  # Qwen 3
HARMONY = (  # gpt-oss
    "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'user' %}"
    "<|start|>user<|message|>{{ message['content'] }}<|end|>{% else %}"
    "{% if message['thinking'] %}<|start|>assistant<|channel|>analysis<|message|>{{ message['thinking'] }}<|end|>"
    "{% endif %}"
    "<|start|>assistant<|channel|>final<|message|>{{ message['content'] }}<|return|>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant{% endif %}"
)
HARMONIOUS = "<|channel|>analysis<|message|>13?<|end|><|start|>assistant<|channel|>final<|message|>12 left"
OF_HARMONY = ("<|start|>", "<|channel|>", "<|message|>", "<|return|>")
THOUGHT = "<think>\n13?\n\nNo.\n</think>\n\n12 left"


def targets(template: str, response: str, reasoning: Reasoning, folder: Path) -> tuple[str, str, Encoded]:
    """The texts without and with loss."""
    save_tokenizer(folder, template)
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    encoded = encode_pairs([QAPair("q", "How many?", response, "12", 1, 1, 1.0)], tokenizer, 512, "drop", reasoning)
    [example] = encoded.examples
    ids, start = example.ids, example.prompt_tokens
    assert list(ids[:2]).count(tokenizer.bos_token_id) == 1
    asked = tokenizer.apply_chat_template([{"role": "user", "content": "How many?"}], add_generation_prompt=True)
    assert list(ids[:start]) == asked["input_ids"]  # trained after the prompt that is asked, token by token
    return tokenizer.decode(ids[:start]), tokenizer.decode(ids[start:]), encoded


@pytest.mark.parametrize(
    ("template", "response", "reasoning", "target"),
    [
        (CHATML, THOUGHT, "strip", "12 left<|end|>"),
        (CHATML, THOUGHT, "keep", f"{THOUGHT}<|end|>"),
        (CHATML, "12 left", "keep", "12 left<|end|>"),
        (DROPS, THOUGHT, "strip", "12 left<|end|>"),
        (DROPS, THOUGHT, "keep", f"{THOUGHT}<|end|>"),
        (EMPTY, THOUGHT, "strip", "<think>\n\n</think>\n\n12 left<|end|>"),
        (EMPTY, THOUGHT, "keep", f"{THOUGHT}<|end|>"),
        (OPENS, THOUGHT, "strip", "\n</think>\n\n12 left<|end|>"),
        (OPENS, THOUGHT, "keep", "13?\n\nNo.\n</think>\n\n12 left<|end|>"),
        (OPENS, "<think>13?</think>12 left", "keep", "13?</think>12 left<|end|>"),
        (OPENS, "12 left", "strip", "\n</think>\n\n12 left<|end|>"),
        (OPENS, "12 left", "keep", "\n</think>\n\n12 left<|end|>"),
        (OPENS_AT_ONCE, "[THINK]13?[/THINK]12 left", "strip", "[/THINK]\n\n12 left<|end|>"),
        (OPENS_AT_ONCE, "[THINK]13?[/THINK]12 left", "keep", "13?[/THINK]12 left<|end|>"),
    ],
)
def test_the_target_is_the_answer_or_all_that_follows_the_prompt(
    template: str, response: str, reasoning: Reasoning, target: str, tmp_path: Path
) -> None:
    assert targets(template, response, reasoning, tmp_path)[1] == target


def opening(tag: str) -> str:
    return CHATML.replace(PROMPT, f"<|assistant|>\n{tag}{{% endif %}}")


@pytest.mark.parametrize(
    ("template", "target"),
    [
        (opening("<thought>\n"), "13?\n</thought>\n\n12 left<|end|>"),
        (opening("<seed:think>"), "13?</seed:think>\n\n12 left<|end|>"),
        (opening("<|begin_of_thought|>\n\n"), "13?\n<|end_of_thought|>\n\n12 left<|end|>"),
        (opening("◁think▷"), "13?◁/think▷\n\n12 left<|end|>"),
        (EMPTY.replace("think>", "reasoning>"), "<reasoning>\n13?\n</reasoning>\n\n12 left<|end|>"),
        (HARMONY, f"{HARMONIOUS}<|return|>"),
    ],
)
@pytest.mark.parametrize(
    "response",
    ["<think>\n13?\n</think>\n\n12 left", "[THINK]13?[/THINK]12 left", "<scratchpad>13?</scratchpad> 12 left",
     "13?</think>12 left", HARMONIOUS],
)  # fmt: skip
def test_thoughts_in_another_format_are_kept_in_that_of_the_student(
    template: str, target: str, response: str, tmp_path: Path
) -> None:
    save_tokenizer(tmp_path, template)
    tokenizer: Any = AutoTokenizer.from_pretrained(tmp_path)
    if template == HARMONY:
        tokenizer.add_special_tokens({"eos_token": "<|return|>", "additional_special_tokens": [*OF_HARMONY]})
    encoded = encode_pairs([QAPair("q", "How many?", response, "12", 1, 1, 1.0)], tokenizer, 512, "drop", "keep")
    [example] = encoded.examples
    assert tokenizer.decode(list(example.ids[example.prompt_tokens :])) == target


def test_a_thought_after_prose_is_kept_in_the_thought_that_the_prompt_opens(tmp_path: Path) -> None:
    said = "Sure. <think>13?</think>12 left"
    assert targets(OPENS, said, "keep", tmp_path / "opens")[1] == "13?\n</think>\n\nSure. 12 left<|end|>"
    assert targets(CHATML, said, "keep", tmp_path / "plain")[1] == f"{said}<|end|>"


@pytest.mark.parametrize(
    ("template", "reasoning", "stripped", "unthinking"),
    [(CHATML, "strip", 1, 0), (CHATML, "keep", 0, 0), (EMPTY, "strip", 1, 1), (EMPTY, "keep", 0, 0),
     (OPENS, "strip", 1, 1), (OPENS, "keep", 0, 0), (DROPS, "strip", 1, 0)],
)  # fmt: skip
def test_it_is_counted_what_is_stripped_and_what_trains_the_model_not_to_think(
    template: str, reasoning: Reasoning, stripped: int, unthinking: int, tmp_path: Path
) -> None:
    encoded = targets(template, THOUGHT, reasoning, tmp_path)[2]
    assert (encoded.stripped, encoded.unthinking) == (stripped, unthinking)


def test_responses_without_thoughts_are_trained_on_as_they_are(tmp_path: Path) -> None:
    for reasoning in ("strip", "keep"):
        prompt, target, encoded = targets(CHATML, " 12 left\n", reasoning, tmp_path)
        assert (prompt[-14:], target, encoded.stripped) == ("<|assistant|>\n", " 12 left\n<|end|>", 0)


def test_a_control_token_in_a_kept_thought_is_still_unsafe(tmp_path: Path) -> None:
    save_tokenizer(tmp_path, OPENS)
    tokenizer: Any = AutoTokenizer.from_pretrained(tmp_path)
    spelled = QAPair("q", "How many?", "<think>\n13<|end|>\n</think>\n\n12", "12", 1, 1, 1.0)
    assert encode_pairs([spelled], tokenizer, 512, "drop", "keep").unsafe == ["q"]


@needs_files
@pytest.mark.parametrize(
    ("thinks", "reasoning", "start", "target"),
    [
        (None, "strip", "<|im_start|>assistant\n", "<think>\n\n</think>\n\n12 left<|im_end|>"),
        (None, "keep", "<|im_start|>assistant\n", f"{THOUGHT}<|im_end|>"),
        (True, "strip", "<|im_start|>assistant\n", "<think>\n\n</think>\n\n12 left<|im_end|>"),
        (False, "strip", "<|im_start|>assistant\n<think>\n\n</think>\n\n", "12 left<|im_end|>"),
    ],
)
def test_qwen_3_is_trained_after_the_prompt_that_its_switch_gives(
    thinks: bool | None, reasoning: Reasoning, start: str, target: str
) -> None:
    arguments = None if thinks is None else {"enable_thinking": thinks}
    tokenizer = load_tokenizer(Weights("qwen3", str(Path(str(REAL)) / "qwen3"), chat_template_kwargs=arguments))
    encoded = encode_pairs([QAPair("q", "How many?", THOUGHT, "12", 1, 1, 1.0)], tokenizer, 512, "drop", reasoning)
    [example] = encoded.examples
    prompt = f"<|im_start|>user\nHow many?<|im_end|>\n{start}"
    assert tokenizer.decode(list(example.ids[: example.prompt_tokens])) == prompt
    assert tokenizer.decode(list(example.ids[example.prompt_tokens :])) == target
    assert encoded.unthinking == (reasoning == "strip" and thinks is not False)
