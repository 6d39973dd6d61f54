"""Records: their lines on disk, and identity."""

import json

import pytest

from crescent.core.records import Ballot, Question, decode, encode, text_id

QUESTION = Question(text_id("How many?"), "How many – ½ of 5 % “eggs”?", 2, None)


def test_a_record_survives_its_line() -> None:
    assert decode(Question, json.loads(encode(QUESTION))) == QUESTION


def test_a_line_is_one_line_whatever_the_text_holds() -> None:
    assert "\n" not in encode(Question("a", "two\nlines\u2028three", 0))


def test_a_missing_and_an_unknown_field_are_named() -> None:
    with pytest.raises(ValueError, match=r"missing \['round'\], unknown \['rond'\]"):
        decode(Question, {"id": "a", "text": "b", "rond": 1, "parent_id": None})


def test_ids_tell_texts_and_splits_apart() -> None:
    assert len({text_id("ab"), text_id("a", "b"), text_id("b", "a"), text_id("a b")}) == 4


def test_ids_never_change() -> None:
    assert text_id("How many?") == "ba352e24c64c7137"


def test_sequences_come_back_as_tuples() -> None:
    ballot = Ballot("q", ("7", None), "7", 1, 2, 0.5, 0, "won")
    assert decode(Ballot, json.loads(encode(ballot))) == ballot
