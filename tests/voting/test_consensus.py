"""Votes: counting, ties, agreement, and what no order of the draws may change."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta

from crescent.voting.majority import beta_above, is_confident, is_settled, vote

ANSWER_LISTS = st.lists(st.sampled_from(["1", "2", "3", None]), min_size=1, max_size=9)


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


@given(ANSWER_LISTS, st.randoms(use_true_random=False), st.sampled_from([0.0, 0.3, 0.5, 1.0]))
def test_the_order_of_draws_changes_nothing_when_ties_are_dropped(answers: list, random, level: float):
    shuffled = random.sample(answers, len(answers))
    a, b = vote(answers, min_agreement=level), vote(shuffled, min_agreement=level)
    assert (a.answer, a.votes, a.agreement, a.reason) == (b.answer, b.votes, b.agreement, b.reason)
    assert set(a.tied) == set(b.tied)


@given(ANSWER_LISTS)
def test_a_winner_has_the_most_votes_and_one_more_vote_keeps_it(answers: list):
    result = vote(answers)
    if result.answer is not None:
        assert all(
            answers.count(result.answer) > answers.count(other) for other in set(answers) - {result.answer, None}
        )
        assert vote([*answers, result.answer]).answer == result.answer


@given(ANSWER_LISTS)
def test_votes_never_exceed_draws(answers: list):
    result = vote(answers, tie="first")
    assert 0 <= result.votes <= result.draws == len(answers)
    assert (result.answer is None) == (result.votes == 0)


def test_a_tie_may_go_to_the_shortest_response():
    assert vote(["1", "2", "2", "1"], tie="shortest", lengths=[9, 5, 6, 4]).answer == "1"
    assert vote(["1", "2"], tie="shortest", lengths=[5, 5]).answer == "1"
    with pytest.raises(ValueError, match="needs lengths"):
        vote(["1"], tie="shortest")


def test_a_vote_is_settled_when_nobody_can_catch_up():
    assert is_settled(["1", "1", "1"], 5) and not is_settled(["1", "1"], 4)
    assert is_settled(["1", "1"], 4, tie="first") and not is_settled(["2", "1", "1"], 4, tie="first")
    assert is_settled(["1", "2", "3"], 5, min_agreement=0.8)  # three of five is the most that any can get


@pytest.mark.parametrize(("x", "a", "b"), [(0.5, 1, 1), (0.5, 5, 1), (0.5, 9, 4), (0.3, 2, 7), (0.8, 40, 9)])
def test_the_posterior_is_that_of_the_beta_distribution(x: float, a: int, b: int):
    assert beta_above(x, a, b) == pytest.approx(beta.sf(x, a, b), abs=1e-12)


def test_confidence_grows_with_the_lead():
    assert is_confident(["7"] * 4, 0.95) and not is_confident(["7"] * 3, 0.95)
    assert not is_confident(["7"] * 4 + ["8"] * 3, 0.95) and not is_confident([None] * 9, 0.6)
