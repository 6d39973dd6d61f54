"""The vote stage on draws whose answers are known."""

from crescent.core.records import Ballot, Question, Solution, decode_lines
from crescent.core.store import Artifact, Outcome, Store
from crescent.voting.rules import Adaptive, Majority, Rule
from crescent.voting.stage import BALLOTS, Vote


def draws(*texts: str, finish_reason: str = "stop") -> list[Solution]:
    return [Solution("q", draw, text, finish_reason, 5, -0.1) for draw, text in enumerate(texts)]


def run(rule: Rule, drawn: list[Solution], store: Store) -> Artifact:
    questions = store.build("diversify", 1, {}, [], lambda work: Outcome([Question("q", "How many?", 0)]))
    return Vote(rule, "number").run(questions, questions.read(Question), [drawn], "ledger", store)


def test_a_draw_cut_off_at_its_limit_does_not_vote(store: Store) -> None:
    pairs = run(Majority(draws=3), draws("#### 7") + draws("#### 8", "#### 8", finish_reason="length"), store)
    assert pairs.info["pairs"] == 1 and pairs.info["draws_without_answer"] == 2


def test_draws_that_the_rule_would_not_have_made_do_not_vote(store: Store) -> None:
    pairs = run(Adaptive(draws=9, stop="exact"), draws(*["#### 7"] * 5, *["#### 8"] * 4), store)
    with open(pairs.path / BALLOTS, encoding="utf-8") as lines:
        [ballot] = decode_lines(Ballot, lines)
    assert (ballot.draws, ballot.votes, pairs.info["mean_draws"]) == (5, 5, 5.0)
