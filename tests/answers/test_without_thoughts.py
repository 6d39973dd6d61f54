"""Thoughts are no part of a response."""

import pytest

from crescent.answers.thoughts import without_thoughts


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("<think>13?</think>12", "12"),
        ("13?</think>12", "12"),
        ("12 <think>or 13", "12 "),
        ("<thinking>a</thinking>b<think>c</think>d", "bd"),
        ("<|begin_of_thought|>13<|end_of_thought|>12", "12"),
        ("<think>the tag <think> opens</think>12", "12"),
        ("I think so: 3 < 5", "I think so: 3 < 5"),
        ("", ""),
    ],
)
def test_only_what_is_outside_of_thoughts_stays(text: str, kept: str) -> None:
    assert without_thoughts(text) == kept
