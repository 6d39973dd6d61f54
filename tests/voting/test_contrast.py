"""Losing draws: which one a pair is contrasted with, and that none is invented."""

from pathlib import Path

from stage_context import stage_context

from crescent.core.records import Ballot, QAPair, Question, Solution, text_id
from crescent.core.store import Key, Outcome, Store
from crescent.voting.contrast_stage import Contrast, contrasted
from crescent.voting.draws import Draws
from crescent.voting.rules import Majority
from crescent.voting.stage import Vote


def pair(votes: int, draws: int, answer: str = "7") -> QAPair:
    return QAPair("q", "How many?", f"#### {answer}", answer, votes, draws, votes / draws)


def made(*answers: str | None, votes: int, answer: str = "7") -> QAPair:
    ballot = Ballot("q", answers, answer, votes, len(answers), votes / len(answers), 0, "won")
    draws = [Solution("q", draw, f"draw {draw} ", "stop", 9, -0.1) for draw in range(len(answers) + 2)]
    return contrasted(pair(votes, len(answers), answer), ballot, draws)


def test_the_answer_with_the_fewest_votes_loses_by_its_margin() -> None:
    found = made("7", "5", "7", "9", "5", "7", "7", None, votes=4)
    assert (found.rejected, found.margin) == ("draw 3", 0.375)


def test_draws_without_an_answer_and_equal_answers_do_not_lose() -> None:
    assert made("7", "7", None, votes=2) == pair(2, 3)
    assert made("1/2", "1/2", "2/4", votes=2, answer="1/2") == pair(2, 3, "1/2")


def test_an_answer_with_as_many_votes_does_not_lose() -> None:
    assert made("7", "5", votes=1).rejected is None  # vote.tie=first, or a single draw that was believed


def test_pairs_keep_their_order_and_get_their_losers_from_the_ledger(tmp_path: Path) -> None:
    store = Store(tmp_path)
    texts = {"How many?": ["#### 7", "#### 7", "it is #### 5"], "How few?": ["#### 1"] * 3, "None?": ["?"] * 3}
    asked = [Question(text_id(text), text, 0) for text in texts]
    questions = store.build(Key("decontaminate", 1, {}), lambda work: Outcome(asked))
    solutions = [
        [Solution(one.id, draw, text, "stop", 5, -0.1) for draw, text in enumerate(texts[one.text])] for one in asked
    ]
    draws, context = Draws("ledger", solutions, 9, 0), stage_context(store)
    pairs = Vote(Majority(draws=3), "number").run(context, questions, draws)
    found = Contrast(wanted=True).run(context, pairs, draws)
    assert [(one.rejected, one.margin) for one in found.read(QAPair)] == [("it is #### 5", 0.3333), (None, 0.0)]
    assert dict(found.info) == {"pairs": 2, "with_a_loser": 1, "mean_margin": 0.3333}
    assert "rejected" not in (pairs.path / "records.jsonl").read_text()
    assert Contrast(wanted=False).key(context.models, pairs.key, draws.key) is None
