"""Thoughts are no part of a response."""

import pytest

from crescent.answers import extract
from crescent.answers.thoughts import answer_spans, ending, split_thoughts, without_thoughts


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("<think>13?</think>12", "12"),
        ("13?</think>12", "12"),
        ("12 <think>or 13", ""),
        ("<think>or 13", ""),
        ("12</think>", ""),
        ("<thinking>a</thinking>b<think>c</think>d", "bd"),
        ("<|begin_of_thought|>13<|end_of_thought|>12", "12"),
        ("<|channel|>analysis<|message|>13?<|end|><|start|>assistant<|channel|>final<|message|>12<|return|>", "12"),
        ("<|channel|>analysis<|message|>13?assistant<|channel|>final<|message|>12", "12"),
        ("<|channel|>final<|message|>12", "12"),
        ("<|channel|>analysis<|message|>13", ""),
        ("<|channel|>commentary to=tool<|message|>13<|end|>", ""),
        ("<think>the tag <think> opens</think>12", "12"),
        ("I think so: 3 < 5", "I think so: 3 < 5"),
        ("", ""),
    ],
)
def test_only_what_is_outside_of_thoughts_stays(text: str, kept: str) -> None:
    assert without_thoughts(text) == kept


@pytest.mark.parametrize("kind", ["number", "choice", "name", "text", "expression"])
@pytest.mark.parametrize("text", ["#### B <think>or #### C", "The answer is 12.\n<thinking>\nWait, #### 13"])
def test_an_unclosed_thought_has_no_answer_whatever_was_said_before(text: str, kind: str) -> None:
    assert extract(text, kind) is None


@pytest.mark.parametrize(
    ("text", "thought", "is_open"),
    [
        ("<think>13?</think>12", "13?", False),
        ("<think>a</think>b<think>c</think>d", "ac", False),
        ("13?</think>12", "13?", False),
        ("<think>13", "13", True),
        ("12 <think>or 13", "12 or 13", True),
        ("<|channel|>analysis<|message|>13?<|end|><|start|>assistant<|channel|>final<|message|>12", "13?", False),
        ("12", "", False),
    ],
)
def test_thoughts_are_told_from_answers(text: str, thought: str, is_open: bool) -> None:
    parts = split_thoughts(text)
    assert (parts.thought, parts.is_open) == (thought, is_open)


def test_a_completion_that_ends_in_its_thought_is_counted_as_such_however_it_ended() -> None:
    texts = ("<think>12", "<think>12</think>12", "12")
    assert [ending(text, "length") for text in texts] == ["unclosed thought", "length", "length"]
    assert ending("<think>12", "stop") == "unclosed thought" and ending("12", "stop") == "stop"


@pytest.mark.parametrize(
    ("text", "answers"),
    [
        ("<think>a</think>\n\n12", ["12"]), ("a</think> 12", ["12"]), ("12", ["12"]), ("", [""]), ("\n\n", ["\n\n"]),
        ("<think>a", []), ("\n<think>a</think><think>b</think>12", ["12"]), ("<think>a</think> ", [""]),
        ("\n<think>a", []), ("a</think>b</think>12", ["12"]),
        ("12 <think>a</think>", ["12 ", ""]), ("12 <think>a</think> 13<think>b", ["12 ", "13"]),
        ("<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>12", ["12"]),
        ("<|channel|>final<|message|>12<|end|><|start|>assistant<|channel|>analysis<|message|>a", ["12"]),
        ("<|channel|>analysis<|message|>a", []),
    ],
)  # fmt: skip
def test_answers_are_what_is_outside_of_thoughts(text: str, answers: list[str]) -> None:
    assert [text[start:end] for start, end in answer_spans(text)] == answers
