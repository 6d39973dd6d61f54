"""Votes: counting, ties, agreement, and what no order of the draws may change."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crescent.consensus import vote

ANSWERS = st.lists(st.sampled_from(["1", "2", "3", None]), min_size=1, max_size=9)


def test_the_answer_most_draws_agree_on_wins():
    result = vote(["5", "7", "5", None])
    assert (result.answer, result.votes, result.draws, result.agreement) == ("5", 2, 4, 0.5)
    assert result.reason == "won" and result.tied == ("5",)


def test_draws_without_an_answer_never_vote_but_count():
    result = vote([None, None, None, "5"])
    assert (result.answer, result.agreement) == ("5", 0.25)
    assert vote([None, None]).reason == "no answer"


def test_a_tie_is_dropped_or_goes_to_the_first():
    assert vote(["1", "2", "3"]).answer is None
    assert vote(["1", "2", "3"]).reason == "tie"
    first = vote(["2", "1", "1", "2"], tie="first")
    assert (first.answer, first.tied) == ("2", ("2", "1"))


def test_an_agreement_at_the_level_wins_and_below_it_does_not():
    assert vote(["1", "1", "2", None], min_agreement=0.5).answer == "1"
    assert vote(["1", "2", None], tie="first", min_agreement=0.5).reason == "low agreement"


@pytest.mark.parametrize("settings", [{"tie": "last"}, {"min_agreement": 1.5}, {"min_agreement": float("nan")}])
def test_bad_settings_are_refused(settings: dict):
    with pytest.raises(ValueError, match=next(iter(settings))):
        vote(["1"], **settings)


@pytest.mark.parametrize("answers", [[], "12"])
def test_a_vote_without_draws_is_refused(answers: list | str):
    with pytest.raises(ValueError, match="at least one draw"):
        vote(answers)


@given(ANSWERS, st.randoms(use_true_random=False), st.sampled_from([0.0, 0.3, 0.5, 1.0]))
def test_the_order_of_draws_changes_nothing_when_ties_are_dropped(answers: list, random, level: float):
    shuffled = random.sample(answers, len(answers))
    a, b = vote(answers, min_agreement=level), vote(shuffled, min_agreement=level)
    assert (a.answer, a.votes, a.agreement, a.reason) == (b.answer, b.votes, b.agreement, b.reason)
    assert set(a.tied) == set(b.tied)


@given(ANSWERS)
def test_a_winner_has_the_most_votes_and_one_more_vote_keeps_it(answers: list):
    result = vote(answers)
    if result.answer is not None:
        assert all(
            answers.count(result.answer) > answers.count(other) for other in set(answers) - {result.answer, None}
        )
        assert vote([*answers, result.answer]).answer == result.answer


@given(ANSWERS)
def test_votes_never_exceed_draws(answers: list):
    result = vote(answers, tie="first")
    assert 0 <= result.votes <= result.draws == len(answers)
    assert (result.answer is None) == (result.votes == 0)
