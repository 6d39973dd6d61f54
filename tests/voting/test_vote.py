"""The vote stage on draws whose answers are known."""

import pytest
from stage_context import stage_context

from crescent.core.console import Console
from crescent.core.events import Events
from crescent.core.records import Ballot, QAPair, Question, Solution, decode_lines
from crescent.core.store import Artifact, Key, Outcome, Store
from crescent.observers.narration import Narrator
from crescent.voting.draws import Draws
from crescent.voting.rules import Adaptive, Majority, Rule
from crescent.voting.stage import BALLOTS, Vote


def draws(*texts: str, finish_reason: str = "stop") -> list[Solution]:
    return [Solution("q", draw, text, finish_reason, 5, -0.1) for draw, text in enumerate(texts)]


def run(rule: Rule, drawn: list[Solution], store: Store, events: Events | None = None) -> Artifact:
    questions = store.build(Key("diversify", 1, {}), lambda work: Outcome([Question("q", "How many?", 0)]))
    context = stage_context(store, events=events)
    return context.run(Vote(rule, "number"), questions, Draws("ledger", [drawn], 0, 0))


def test_a_draw_cut_off_at_its_limit_does_not_vote(store: Store) -> None:
    pairs = run(Majority(draws=3), draws("#### 7") + draws("#### 8", "#### 8", finish_reason="length"), store)
    assert pairs.info["pairs"] == 1 and pairs.info["draws_without_answer"] == 2


@pytest.mark.parametrize("reason", ["abort", "content_filter", "error", "null", "tool_calls", "anything else"])
def test_only_a_draw_that_stopped_by_itself_votes_and_others_are_counted_by_their_reason(
    reason: str, store: Store
) -> None:
    drawn = draws("#### 7") + draws("#### 8", "#### 8", finish_reason=reason) + draws("#### 8", finish_reason="length")
    pairs = run(Majority(draws=4), drawn, store)
    assert [pair.answer for pair in pairs.read(QAPair)] == ["7"]
    assert pairs.info["draws_unfinished"] == {reason: 2, "length": 1}


def test_draws_that_gave_up_give_no_pair(store: Store) -> None:
    pairs = run(Majority(draws=3), draws(*["#### 7"] * 3, finish_reason="abort"), store)
    assert pairs.records == 0 and pairs.info["without_pair"] == {"no answer": 1}


def test_what_did_not_end_by_itself_is_told(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    drawn = draws("#### 7", "#### 7") + draws("#### 7", finish_reason="abort")
    run(Majority(draws=3), drawn, store, Narrator(Console()))
    assert "unfinished: 1 abort" in " ".join(capsys.readouterr().err.split())


def test_draws_that_the_rule_would_not_have_made_do_not_vote(store: Store) -> None:
    pairs = run(Adaptive(draws=9, stop="exact"), draws(*["#### 7"] * 5, *["#### 8"] * 4), store)
    with open(pairs.path / BALLOTS, encoding="utf-8") as lines:
        [ballot] = decode_lines(Ballot, lines)
    assert (ballot.draws, ballot.votes, pairs.info["mean_draws"]) == (5, 5, 5.0)
