"""Servers whose answers have values of other types than promised, more of them than asked for, or none."""

import json
import math
from collections.abc import Callable
from typing import Any

import pytest
from serving import Behaviour, local
from serving import StartAt as Start
from serving import serve_at as serve
from test_refusals import DRAWN, PROMPTS, engine

from crescent.engines.server import endpoints
from crescent.engines.server.fields import count

__all__ = ["local", "serve"]


def each(change: Callable[[dict[str, Any]], Any]) -> Behaviour:
    """Does something to each choice."""
    return Behaviour(change=lambda answer: [change(choice) for choice in answer["choices"]])


@pytest.mark.parametrize(
    "change",
    [
        lambda choice: choice.update(index=str(choice["index"])),
        lambda choice: choice.update(index=choice["index"] or None),
        lambda choice: choice.update(message=choice["message"]["content"]),
        lambda choice: choice["message"].update(content=[None, {"type": "text", "text": choice["message"]["content"]}]),
        lambda choice: choice.update(logprobs={"content": [{"token": "a", "logprob": "-0.5"}] * 3}),
        lambda choice: choice.update(logprobs={"content": [{"token": "a", "logprob": math.nan}] * 3}),
        lambda choice: choice.update(logprobs={"content": {"a": -1}}),
        lambda choice: choice.update(logprobs={"token_logprobs": 7}),
        lambda choice: choice.update(finish_reason="STOP"),
        lambda choice: choice["message"].update(tool_calls="none"),
    ],
)  # fmt: skip
def test_values_of_other_types_are_read_or_count_as_missing(
    change: Callable[[dict[str, Any]], Any], serve: Start
) -> None:
    made = engine(serve(each(change))).generate(PROMPTS, DRAWN)
    assert len({one.text for one in made}) == 10 and {one.finish_reason for one in made} <= {"stop", "length"}
    assert all(0 < one.new_tokens <= 6 and math.isfinite(one.mean_logprob) for one in made)


@pytest.mark.parametrize(
    "usage",
    ["many", [1], True, *({"prompt_tokens": one, "completion_tokens": one} for one in ("x", -5, math.nan, 10**12))],
)  # fmt: skip
def test_counts_that_make_no_sense_are_made_up_for(usage: Any, serve: Start, tiny_llama: Any) -> None:
    behaviour = Behaviour(gives_logprobs=False, change=lambda answer: answer.update(usage=usage))
    made = engine(serve(behaviour), path=str(tiny_llama)).generate(PROMPTS, DRAWN)
    assert all(0 < one.new_tokens <= 6 and 0 < one.prompt_tokens < 99 for one in made)


def test_numbers_of_tokens_are_whole_and_possible() -> None:
    read = [count(value) for value in (7, "7", 7.0, 0, None, "", "7 tokens", -1, True, math.nan, math.inf, 1e12, [7])]
    assert read == [7, 7, 7, 0, *[None] * 9]


@pytest.mark.parametrize("times", [2, 3])
def test_choices_that_are_returned_twice_are_one_sample(times: int, serve: Start) -> None:
    def repeat(answer: dict[str, Any]) -> None:
        answer["choices"] = [choice for choice in answer["choices"] for _ in range(times)]

    made = engine(serve(Behaviour(change=repeat))).generate(PROMPTS, DRAWN)
    assert len({one.text for one in made}) == 10


def test_equal_samples_are_kept_if_no_more_are_returned_than_asked_for(serve: Start) -> None:
    behaviour = Behaviour()
    asker = engine(serve(behaviour))
    asker.generate(PROMPTS, DRAWN)
    before = len(behaviour.seen)
    behaviour.change = lambda answer: [choice.update(message={"content": "7"}, index=0) for choice in answer["choices"]]
    assert [one.text for one in asker.generate(PROMPTS, DRAWN)] == ["7"] * 10
    assert len(behaviour.seen) == before + 2


@pytest.mark.parametrize(("reason", "read"), [("end_turn", "stop"), ("MAX_TOKENS", "length"), ("eos", "stop")])
def test_other_names_of_an_end_are_known(reason: str, read: str, serve: Start) -> None:
    made = engine(serve(Behaviour(ends_with=reason))).generate(PROMPTS, DRAWN)
    assert {one.finish_reason for one in made} == {read}


def test_a_refusal_in_its_own_field_is_no_answer(serve: Start, caplog: pytest.LogCaptureFixture) -> None:
    made = engine(serve(each(lambda choice: choice["message"].update(content=None, refusal="I cannot")))).generate(
        PROMPTS, DRAWN
    )
    assert {(one.text, one.finish_reason) for one in made} == {("", "refusal")}
    assert "finish_reason refusal" in caplog.text


def test_answers_without_text_are_named(serve: Start, caplog: pytest.LogCaptureFixture) -> None:
    made = engine(serve(Behaviour(content=None, ends_with="stop"))).generate(PROMPTS, DRAWN)
    assert {one.text for one in made} == {""} and caplog.text.count("returns no text, although it counts") == 1


def test_text_that_no_file_can_hold_is_replaced(serve: Start) -> None:
    made = engine(serve(each(lambda choice: choice["message"].update(content=f"{choice['index']}\ud800")))).generate(
        PROMPTS[:4], DRAWN
    )
    assert {one.text for one in made} == {"0?", "1?", "2?", "3?"}


@pytest.mark.parametrize("body", [b'{"id": "\xff"}', b"[" * 10**5, json.dumps({"choices": {"0": {}}}).encode()])
def test_bytes_that_are_no_answer_are_waited_out(
    body: bytes, serve: Start, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoints, "FIRST_WAIT", 0.02)
    made = engine(serve(Behaviour(useless=[body] * 2))).generate(PROMPTS, DRAWN)
    assert len(made) == 10 and caplog.text.count("gives unusable answers") == 1


@pytest.mark.parametrize("status", [401, 425])
def test_a_key_that_is_renewed_is_waited_for(status: int, serve: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoints, "FIRST_WAIT", 0.02)
    behaviour = Behaviour()
    asker = engine(serve(behaviour))
    asker.generate(PROMPTS[:1], DRAWN)
    behaviour.failures, behaviour.failure = 6, status
    assert all(one.new_tokens for one in asker.generate(PROMPTS, DRAWN))
