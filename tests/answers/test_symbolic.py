"""Expressions as answers, and their symbolic equality in a worker that can be killed."""

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stage_context import stage_context

from crescent.answers import extract
from crescent.answers.symbolic import SymbolicEquality
from crescent.core.records import Question, Solution
from crescent.core.store import Key, Outcome, Store
from crescent.voting.draws import Draws
from crescent.voting.rules import Majority
from crescent.voting.stage import Vote


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"so we get \boxed{\dfrac{x}{2}}.", r"\frac{x}{2}"),
        (r"The answer is $2\sqrt{2}$.", r"2\sqrt{2}"),
        ("#### x^2 - 1", "x^2-1"),
        (r"Therefore \[ \left( 1, 2 \right] \]", "(1,2]"),
        ("#### 1,000", "1000"),
        (r"\boxed{\$5.50}", "5.5"),
        ("x = 3 y", "x=3 y"),
        ("", None),
        ("  \n ", None),
    ],
)
def test_an_expression_is_what_the_mark_holds_in_one_spelling(text: str, answer: str | None) -> None:
    assert extract(text, "expression") == answer


@given(st.text(max_size=300) | st.text(alphabet=r"\${}boxed frac=1x^()[]#. ", max_size=80))
def test_any_text_has_an_expression_that_is_its_own_or_none(text: str) -> None:
    answer = extract(text, "expression")
    assert answer is None or extract(answer, "expression") == answer


def test_equal_by_algebra_is_equal_and_verdicts_are_kept(tmp_path: Path) -> None:
    asked = SymbolicEquality(tmp_path)
    answers = ["x^2-1", None, "(x-1)(x+1)", "x^2+1", r"2\sqrt{2}", r"\sqrt{8}"]
    wanted = ["x^2-1", None, "x^2-1", "x^2+1", r"2\sqrt{2}", r"2\sqrt{2}"]
    assert asked.representatives(answers) == wanted and asked.asked > 3
    again = SymbolicEquality(tmp_path)
    assert again.representatives(answers) == wanted and again.asked == 0
    asked.close()


def test_numerals_and_equal_texts_ask_nobody() -> None:
    equality = SymbolicEquality()
    assert equality.representatives(["5", "7", "5.0", "1/2", "0.5"]) == ["5", "7", "5", "1/2", "1/2"]
    assert equality.asked == 0


def test_what_hangs_is_killed_and_kept_as_different(tmp_path: Path) -> None:
    equality = SymbolicEquality(tmp_path, seconds=0.5)
    equality.equal("x+1", "1+x")  # the worker is up
    start = time.monotonic()
    assert not equality.equal("10^{10^{10^{10}}}", r"3^{3^{3^{3^{3^{3}}}}}")
    assert time.monotonic() - start < 5
    assert equality.equal("x+2", "2+x")
    assert SymbolicEquality(tmp_path, seconds=0.5).equal("2+x", "x+2")
    equality.close()


def test_a_torn_verdict_is_asked_for_again(tmp_path: Path) -> None:
    (tmp_path / "verdicts.jsonl").write_text('["x+1", "1+')
    equality = SymbolicEquality(tmp_path)
    assert equality.equal("x+1", "1+x") and equality.asked == 1
    equality.close()
    assert SymbolicEquality(tmp_path).representatives(["1+x", "x+1"]) == ["1+x", "1+x"]


def test_answers_equal_by_algebra_vote_together(store: Store) -> None:
    texts = [r"\boxed{7}", r"\boxed{\sqrt{8}}", r"\boxed{2\sqrt{2}}"]
    draws = [Solution("q", draw, text, "stop", 5, -0.1) for draw, text in enumerate(texts)]
    questions = store.build(Key("diversify", 1, {}), lambda work: Outcome([Question("q", "How long?", 0)]))
    for equality, pairs in (("canonical", 0), ("symbolic", 1)):
        vote = Vote(Majority(draws=3), "expression", equality)  # type: ignore[arg-type]
        made = vote.run(stage_context(store), questions, Draws("ledger", [draws], 0, 0))
        assert made.records == pairs


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (r"\frac{1}{2^{99}}", r"\frac{1}{2^{98}}"),
        ("5 cm", "5 m"),
        (r"3\text{ cm}", r"3\text{ m}"),
        (r"\{1,2\}", "(1,2)"),
        ("(0,1)", "[0,1]"),
        (r"\sqrt{2}", "1.41421356"),
    ],
)
def test_false_equalities_of_math_verify_are_not_taken_over(a: str, b: str) -> None:
    equality = SymbolicEquality()
    assert not equality.equal(a, b)
    equality.close()
