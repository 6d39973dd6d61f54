"""Voting rules on solutions whose answers are known."""

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crescent.answers import extract
from crescent.core.records import Solution
from crescent.voting.rules import (
    CHOICES,
    Adaptive,
    Dissent,
    FormatOnly,
    Majority,
    Rule,
    Select,
    Single,
    Verdict,
    draws_consumed,
)


def solutions(*texts: str, question: str = "q") -> list[Solution]:
    return [Solution(question, draw, text, "stop", 5, -0.1 * (draw + 1)) for draw, text in enumerate(texts)]


def decide(rule: Rule, *texts: str) -> Verdict:
    drawn = solutions(*texts)
    return rule.decide(drawn, [extract(solution.text) for solution in drawn])


def test_the_first_response_with_the_winning_answer_is_kept() -> None:
    assert decide(Majority(draws=4), "#### 3", "so it is 7. #### 7", "#### 7.0", "?").chosen == 1


@pytest.mark.parametrize(("select", "chosen"), [("first", 0), ("shortest", 2), ("logprob", 0)])
def test_which_winning_response_is_kept_is_a_named_choice(select: Select, chosen: int) -> None:
    rule = Majority(draws=3, select_response=select)
    assert decide(rule, "that makes #### 7", "it is #### 7", "#### 7").chosen == chosen


THOUGHTFUL = (
    "<think>Is it 7? Yes, it is.</think>\n\nIt is #### 7",
    "<think>7</think>\n\nSo that in all it makes #### 7",
    "<think>Maybe 9. Or else it is 8.</think>\n\n#### 8",
    "<think>9, or 8?</think> It must be that #### 8",
)


def test_thoughts_do_not_make_a_response_longer() -> None:
    assert decide(Majority(draws=2, select_response="shortest"), *THOUGHTFUL[:2]).chosen == 0
    assert decide(Adaptive(draws=2, select_response="shortest"), *THOUGHTFUL[1::-1]).chosen == 1


@pytest.mark.parametrize("rule", [Majority(draws=4, tie="shortest"), Adaptive(draws=5, stop="exact", tie="shortest")])
def test_thoughts_decide_no_tie(rule: Rule) -> None:
    assert decide(rule, *THOUGHTFUL).answer == "8"
    assert decide(rule, *THOUGHTFUL[::-1]).answer == "8"


def test_a_random_choice_is_a_function_of_seed_and_question() -> None:
    texts = [f"{'x' * n} #### 7" for n in range(9)]
    chosen = {decide(Majority(draws=9, select_response="random", seed=seed), *texts).chosen for seed in range(30)}
    again = {decide(Majority(draws=9, select_response="random", seed=3), *texts).chosen for _ in range(5)}
    assert len(chosen) > 4 and len(again) == 1


@pytest.mark.parametrize(
    ("rule", "reason"),
    [(Majority(draws=4), "tie"), (Majority(draws=4, tie="first", min_agreement=0.6), "low agreement")],
)
def test_a_question_without_a_winner_gives_no_pair_and_says_why(rule: Rule, reason: str) -> None:
    verdict = decide(rule, "#### 7", "#### 7", "#### 8", "#### 8")
    assert (verdict.chosen, verdict.reason) == (None, reason)


def test_a_single_draw_is_believed() -> None:
    assert decide(Single(), "#### 7") == Verdict("7", 1, 0, "first draw")


def test_the_control_keeps_the_majority_s_questions_with_answers_by_chance() -> None:
    texts = ("#### 7", "#### 7", "#### 7", "#### 1", "#### 2", "?")
    answers = [decide(FormatOnly(draws=6, seed=seed), *texts).answer for seed in range(300)]
    assert 0.5 < answers.count("7") / 300 < 0.7 and None not in answers
    assert decide(FormatOnly(draws=2), "#### 7", "#### 8").chosen is None


def test_noise_in_doses_turns_disputed_labels_alone_and_a_larger_dose_holds_a_smaller_one() -> None:
    def turned(share: float, *texts: str) -> set[int]:
        drawn = [solutions(*texts, question=f"q{number}") for number in range(300)]
        answers = [extract(text) for text in texts]
        return {n for n, draws in enumerate(drawn) if Dissent(share=share).decide(draws, answers).answer != "7"}

    disputed = ("#### 7", "#### 7", "#### 7", "#### 1", "?")
    assert turned(0.0, *disputed) == set() == turned(1.0, *["#### 7"] * 4, "?")
    assert turned(0.3, *disputed) < turned(0.6, *disputed) < turned(1.0, *disputed) == set(range(300))
    assert 60 < len(turned(0.3, *disputed)) < 120


@pytest.mark.parametrize("settings", [{"draws": 0}, {"tie": "coin"}, {"min_agreement": 2}, {"select_response": "best"}])
def test_impossible_settings_are_named(settings: dict) -> None:
    with pytest.raises(ValueError, match=f"vote.{next(iter(settings))} is"):
        Majority(**settings)


RULES = {
    "tie": st.sampled_from(["drop", "first", "shortest"]),
    "min_agreement": st.sampled_from([0.0, 0.25, 0.5, 0.6, 1.0]),
    "select_response": st.sampled_from(CHOICES),
}


@settings(max_examples=400)
@given(
    st.lists(st.sampled_from(["#### 1", "so #### 1", "#### 2", "well #### 2", "#### 3", "?"]), min_size=7, max_size=7),
    st.fixed_dictionaries(RULES),
    st.integers(0, 3),
)
def test_exact_does_what_all_draws_would_have_done(texts: list[str], rule: dict, seed: int) -> None:
    drawn = solutions(*texts)
    answers = [extract(text) for text in texts]
    fixed = Majority(draws=7, seed=seed, **rule).decide(drawn, answers)
    adaptive = Adaptive(draws=7, stop="exact", seed=seed, **rule)
    count = draws_consumed(adaptive, drawn, answers)
    verdict = adaptive.decide(drawn[:count], answers[:count])
    assert (verdict.answer, verdict.chosen) == (fixed.answer, fixed.chosen)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from(["#### 1", "#### 2", "?"]), min_size=1, max_size=4),
    st.fixed_dictionaries({**RULES, "select_response": st.just("first")}),
)
def test_exact_stops_as_soon_as_the_outcome_is_certain(texts: list[str], rule: dict) -> None:
    adaptive, fixed = Adaptive(draws=5, stop="exact", **rule), Majority(draws=5, **rule)
    outcomes = set()
    for rest in product(["1", "2", "9", "longer #### 1", "?"], repeat=5 - len(texts)):
        verdict = decide(fixed, *texts, *rest)
        outcomes.add((verdict.answer, verdict.chosen))
    enough = adaptive.wanted(solutions(*texts), [extract(text) for text in texts]) == 0
    assert enough == (len(outcomes) == 1)


@settings(max_examples=100)
@given(st.lists(st.sampled_from(["#### 1", "#### 2", "#### 3", "?"]), min_size=9, max_size=9), st.booleans())
def test_no_draw_that_is_asked_for_is_superfluous(texts: list[str], exact: bool) -> None:
    rule = Adaptive(draws=9, stop="exact" if exact else "confident", min_agreement=0.3)
    drawn, answers = solutions(*texts), [extract(text) for text in texts]
    made = 0
    while more := rule.wanted(drawn[:made], answers[:made]):
        made += more
    assert made == draws_consumed(rule, drawn, answers)


def test_confident_stops_when_the_leader_is_far_enough_ahead() -> None:
    rule = Adaptive(draws=16, confidence=0.95)
    same = solutions(*["#### 7"] * 16)
    assert rule.wanted([], []) == 4  # P(p > 1/2) of Beta(5, 1) is 1 - 1/32, of Beta(4, 1) 1 - 1/16
    assert draws_consumed(rule, same, ["7"] * 16) == 4
    assert draws_consumed(rule, same, ["7", "8"] * 8) == 16


def test_confident_is_as_sure_of_the_agreement_as_of_the_winner() -> None:
    rule = Adaptive(draws=16, confidence=0.9, min_agreement=0.8)
    drawn, answers = solutions(*["?"] * 16), ["7", "7", "7", "7", *["8"] * 12]
    assert draws_consumed(rule, drawn, answers) > draws_consumed(Adaptive(confidence=0.9), drawn, answers)
    assert draws_consumed(rule, drawn, ["8", None, "7", None] * 4) < 8  # 0.8 is out of reach, that is sure


@pytest.mark.parametrize("settings", [{"stop": "early"}, {"confidence": 1.0}, {"confidence": 0.5}, {"draws": 0}])
def test_impossible_adaptive_settings_are_named(settings: dict) -> None:
    with pytest.raises(ValueError, match=f"vote.{next(iter(settings))} is"):
        Adaptive(**settings)
