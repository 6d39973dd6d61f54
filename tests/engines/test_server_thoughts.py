"""Servers of models that think: thoughts in a field of their own, in the text, or begun in the prompt."""

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import CHATML, save_tiny_model
from serving import Behaviour, Start, local, serve
from transformers import AutoTokenizer

from crescent.answers.thoughts import split_thoughts
from crescent.engines import Completion, Prompt, Sampling
from crescent.engines.server import ServerSettings
from crescent.engines.weights import Weights

PROMPTS = [Prompt("How many?", draw) for draw in range(4)]
DRAWN = Sampling(max_new_tokens=6, seed=1)
OPENS = CHATML.replace("<|assistant|>\n{% endif %}", "<|assistant|>\n<think>\n{% endif %}")
__all__ = ["local", "serve"]


def asked(url: str, sampling: Sampling = DRAWN, **weights: Any) -> list[Completion]:
    served = Weights("tiny", **{"path": "nowhere", **weights})
    return ServerSettings((url,), model="tiny", patience_seconds=30.0).build(served, "w").generate(PROMPTS, sampling)


def test_a_thought_in_a_field_of_its_own_stands_before_the_answer(serve: Start) -> None:
    for one in asked(serve(Behaviour(reasoning="First, I count.")).start()):
        parts = split_thoughts(one.text)
        assert one.text.startswith("<think>\nFirst, I count.\n</think>\n\n") and not parts.is_open
        assert parts.thought.strip() == "First, I count." and parts.answer.strip()


@pytest.mark.parametrize("content", [None, ""])
def test_a_thought_without_content_is_an_unclosed_thought(content: str | None, serve: Start) -> None:
    behaviour = Behaviour(reasoning="First, I count.", content=content)
    made = [split_thoughts(one.text) for one in asked(serve(behaviour).start())]
    assert all(one.thought.startswith("\nFirst, I count.") and one.is_open and one.answer == "" for one in made)


MISTRAL = [{"type": "thinking", "thinking": [{"type": "text", "text": "I count."}]}, {"type": "text", "text": "Nine #"}]
PARTS = {
    "mistral": MISTRAL,
    "anthropic": [{"type": "thinking", "thinking": "I count.", "signature": "x"}, {"type": "text", "text": "Nine #"}],
    "reasoning": [{"type": "reasoning", "text": "I count."}, {"type": "output_text", "text": "Nine #"}],
    "summary": [
        {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "I "}, {"text": "count."}]},
        {"type": "text", "text": "Nine #"},
    ],
    "interleaved": [
        {"type": "reasoning_text", "text": "I "}, {"type": "text", "text": "Ni"}, {"type": "refusal", "refusal": "no"},
        {"type": "thinking", "thinking": "count."}, {"type": "redacted_thinking", "data": "x"}, "ne #",
    ],
}  # fmt: skip


def in_parts(parts: list[Any]) -> Behaviour:
    """Every content in such parts, with the text itself at "#"."""

    def change(answer: dict[str, Any]) -> None:
        for choice in answer["choices"]:
            text = json.dumps(choice["message"]["content"])[1:-1]
            choice["message"]["content"] = json.loads(json.dumps(parts).replace("#", text))

    return Behaviour(change=change)


@pytest.mark.parametrize("kind", PARTS)
def test_a_thought_among_the_parts_of_the_content_is_no_answer(kind: str, serve: Start) -> None:
    for one in asked(serve(in_parts(PARTS[kind])).start()):
        parts = split_thoughts(one.text)
        assert (parts.thought.strip(), parts.answer.split()[0], parts.is_open) == ("I count.", "Nine", False)


@pytest.mark.parametrize("more", [[], [{"type": "text", "text": ""}]])
def test_a_part_of_thought_without_an_answer_is_an_unclosed_thought(more: list[Any], serve: Start) -> None:
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": "I count #"}]}
    made = [split_thoughts(one.text) for one in asked(serve(in_parts([thought, *more])).start())]
    assert all(one.is_open and one.thought.startswith("\nI count") and not one.answer for one in made)


@pytest.mark.parametrize("field", ["reasoning", "thinking"])
def test_thoughts_come_in_fields_of_other_names_and_in_parts_there_too(field: str, serve: Start) -> None:
    for thought in (
        "I count.",
        [{"type": "text", "text": "I count."}],
        [{"type": "reasoning.text", "text": "I count."}],
    ):

        def rename(answer: dict[str, Any], thought: Any = thought) -> None:
            for choice in answer["choices"]:
                choice["message"][field] = thought

        made = [split_thoughts(one.text) for one in asked(serve(Behaviour(change=rename)).start())]
        assert all(one.thought.strip() == "I count." and one.answer.strip() for one in made)


def test_a_thought_in_the_text_is_kept_whole(serve: Start) -> None:
    assert all(one.text.startswith("<think>\n") for one in asked(serve(Behaviour(begins_with="<think>\n")).start()))


def test_the_thought_that_the_template_opens_is_told_where_the_server_does_not(serve: Start, tmp_path: Path) -> None:
    folder = str(save_tiny_model(tmp_path, template=OPENS))
    for one in asked(serve(Behaviour(begins_with="I count.</think>")).start(), path=folder):
        assert one.text.startswith("<think>\nI count.</think>")
    assert all(split_thoughts(one.text).is_open for one in asked(serve(Behaviour()).start(), path=folder))


@pytest.mark.parametrize(
    "begins_with", ["<think>\nI count.</think>", "<think>I count.</think>", "\n<think> I count.</think>"]
)
def test_the_thought_that_the_template_opens_is_not_opened_twice(
    begins_with: str, serve: Start, tmp_path: Path
) -> None:
    folder = str(save_tiny_model(tmp_path, template=OPENS))
    for one in asked(serve(Behaviour(begins_with=begins_with)).start(), path=folder):
        assert one.text.startswith(begins_with) and split_thoughts(one.text).thought.strip() == "I count."


def test_a_server_with_a_field_for_thoughts_has_none_in_its_texts(serve: Start, tmp_path: Path) -> None:
    folder = str(save_tiny_model(tmp_path, template=OPENS))
    made = asked(serve(Behaviour(reasoning="I count.")).start(), path=folder)
    assert all(one.text.count("<think>") == 1 for one in made)


def test_the_arguments_of_the_chat_template_are_sent_with_every_chat(serve: Start, tmp_path: Path) -> None:
    seen, plain = Behaviour(), Behaviour()
    arguments = {"enable_thinking": False, "level": 2}
    asked(serve(seen).start(), chat_template_kwargs=arguments)
    asked(serve(plain).start())
    assert seen.seen and all(request["chat_template_kwargs"] == arguments for request in seen.seen)
    assert not any("chat_template_kwargs" in request for request in plain.seen)


def test_arguments_of_the_chat_template_are_in_the_key_of_what_is_served() -> None:
    settings = ServerSettings(("http://a/v1",), model="tiny")
    keys = [
        settings.identity(Weights("tiny", "nowhere", chat_template_kwargs=one), None)
        for one in (None, {}, {"enable_thinking": False}, {"enable_thinking": True})
    ]
    assert keys[0] == keys[1] and len(set(keys)) == 3


def test_stop_strings_are_kept_from_a_server_whose_model_thinks_and_cut_its_answer_only(serve: Start) -> None:
    seen = Behaviour(begins_with="<think>\n\na</think>7 left\n\n", honours_stop=False)
    sampling = Sampling(max_new_tokens=6, seed=1, stop=("\n\n",))
    made = asked(serve(seen).start(), sampling, thinking_tokens=64)
    assert {one.text for one in made} == {"<think>\n\na</think>7 left"}
    assert not any("stop" in request for request in seen.seen)


def test_stop_strings_that_spell_special_tokens_are_sent_as_no_thought_has_them(serve: Start, tiny_llama: Path) -> None:
    seen = Behaviour()
    sampling = Sampling(max_new_tokens=6, seed=1, stop=("\n\n", "<|user|>"))
    asked(serve(seen).start(), sampling, path=str(tiny_llama), thinking_tokens=64)
    assert {tuple(request["stop"]) for request in seen.seen if "stop" in request} == {("<|user|>",)}


def test_a_server_that_does_not_take_the_arguments_is_refused(serve: Start) -> None:
    answer = {"error": {"message": "Unrecognized request argument supplied: chat_template_kwargs"}}
    url = serve(Behaviour(refuses={"chat_template_kwargs": (400, answer)})).start()
    with pytest.raises(ValueError, match=r'refuses chat_template_kwargs \{"enable_thinking": false\} \(Unrecognized'):
        asked(url, chat_template_kwargs={"enable_thinking": False})


HIDDEN = ("[THINK]", "[/THINK]", "<|other|>", "<|user|>")
HARMONY = ("<|channel|>", "<|message|>", "<|start|>", "<|return|>")
HARMONIOUS = "<|channel|>analysis<|message|>I count.<|end|><|start|>assistant<|channel|>final<|message|>"


def with_special(folder: Path, *tokens: str) -> str:
    """A tokenizer that hides tags of thoughts as special tokens (Magistral, gpt-oss), and its chat template."""
    tokenizer: Any = AutoTokenizer.from_pretrained(save_tiny_model(folder, template=CHATML))
    tokenizer.add_special_tokens({"additional_special_tokens": [*tokens, "<|user|>", "<|assistant|>"]})
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize("owner", ["vllm", "lmdeploy", ""])
@pytest.mark.parametrize("turn", ["How many?", "What is <|other|>?"])  # in chat, and as token ids where it can be
@pytest.mark.parametrize(
    ("tokens", "begins_with"), [(HIDDEN, "[THINK]I count.[/THINK]<|other|>"), (HARMONY, HARMONIOUS)]
)
def test_tags_that_are_special_tokens_are_asked_for_and_others_left_out(
    tokens: tuple[str, ...], begins_with: str, turn: str, owner: str, serve: Start, tmp_path: Path
) -> None:
    seen = Behaviour(begins_with=begins_with, special=(*tokens, "<|end|>"), owned_by=owner)
    weights = Weights("tiny", with_special(tmp_path, *tokens))
    asker = ServerSettings((serve(seen).start(),), model="tiny").build(weights, "w")
    for one in asker.generate([Prompt(turn, draw) for draw in range(4)], DRAWN):
        parts = split_thoughts(one.text)
        assert parts.thought == "I count." and parts.answer and "<|" not in parts.answer
    assert all(asked["skip_special_tokens"] is False for asked in seen.seen)


def test_a_server_that_does_not_show_special_tokens_is_named(
    serve: Start, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = with_special(tmp_path, *HIDDEN)
    refused = {"error": {"message": "Unrecognized request argument supplied: skip_special_tokens"}}
    behaviour = Behaviour(begins_with="[THINK]I count.[/THINK]", special=HIDDEN)
    behaviour.refuses = {"skip_special_tokens": (400, refused)}
    asked(serve(behaviour).start(), path=folder, thinking_tokens=8)
    assert caplog.text.count("does not accept skip_special_tokens") == 1
    assert caplog.text.count("a server's answer has no thought, although the model thinks") == 1
    caplog.clear()
    asked(serve(Behaviour(reasoning="I count.", special=HIDDEN)).start(), path=folder, thinking_tokens=8)
    assert "has no thought" not in caplog.text


def test_servers_of_other_models_are_asked_for_plain_texts(serve: Start, tiny_llama: Path) -> None:
    seen = Behaviour()
    asked(serve(seen).start(), path=str(tiny_llama))
    assert not any("skip_special_tokens" in request for request in seen.seen)


def test_stop_strings_that_spell_special_tokens_end_answers_of_servers(serve: Start, tiny_llama: Path) -> None:
    seen = Behaviour(begins_with="Nine<|user|>\nMore?", special=("<|user|>", "<|assistant|>"), honours_stop=False)
    sampling = Sampling(max_new_tokens=6, seed=1, stop=("<|user|>\n",))
    made = asked(serve(seen).start(), sampling, path=str(tiny_llama))
    assert {(one.text, one.finish_reason) for one in made} == {("Nine", "stop")}


def test_a_stop_string_that_ends_a_thought_is_not_sent(serve: Start, tmp_path: Path) -> None:
    seen = Behaviour(begins_with="[THINK]I count.[/THINK]Nine<|user|>", special=HIDDEN, honours_stop=False)
    sampling = Sampling(max_new_tokens=6, seed=1, stop=("[/THINK]", "<|user|>"))
    made = asked(serve(seen).start(), sampling, path=with_special(tmp_path, *HIDDEN), thinking_tokens=8)
    assert {one.text for one in made} == {"[THINK]I count.[/THINK]Nine"}
    assert {tuple(request["stop"]) for request in seen.seen if "stop" in request} == {("<|user|>",)}


def test_a_turn_that_is_rendered_here_has_the_arguments_and_the_open_thought(serve: Start, tmp_path: Path) -> None:
    template = OPENS.replace("<think>\n", "{% if enable_thinking is not defined %}<think>\n{% endif %}")
    folder, seen = str(save_tiny_model(tmp_path, template=template)), Behaviour(owned_by="vllm")
    settings, turn = ServerSettings((serve(seen).start(),), model="tiny"), [Prompt("What is <|end|>?")]
    for arguments, begins in ((None, True), ({"enable_thinking": False}, False)):
        weights = Weights("tiny", folder, chat_template_kwargs=arguments)
        [made] = settings.build(weights, "w").generate(turn, DRAWN)
        assert made.text.startswith("<think>\n") == begins
    assert not any("chat_template_kwargs" in request for request in seen.seen if "prompt" in request)
    assert any("prompt" in request for request in seen.seen)
