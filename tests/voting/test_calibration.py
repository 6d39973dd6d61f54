"""Label accuracy and calibration where the truth is known."""

import pytest

from crescent.core.records import Ballot, Question
from crescent.organism.oracle import OrganismOracle
from crescent.voting.calibration import Bin, NoOracle, calibrate


class Known:
    """An oracle that knows what it is told."""

    name = "known"

    def __init__(self, **truths: str) -> None:
        self.truths = truths

    def truth(self, question: str) -> str | None:
        return self.truths.get(question)


def ballot(name: str, *answers: str | None, chosen: int | None) -> Ballot:
    winner = None if chosen is None else answers[chosen]
    votes = answers.count(winner) if winner else 0
    return Ballot(name, answers, winner, votes, len(answers), votes / len(answers), chosen, "won")


QUESTIONS = [Question(name, name, 0) for name in "abcd"]
BALLOTS = [
    ballot("a", "5", "7", "7", "7", chosen=1),  # right by the vote, wrong by the first draw
    ballot("b", "3", "3", "4", None, chosen=0),  # wrong
    ballot("c", None, "1", "2", "3", chosen=None),
    ballot("d", "9", chosen=0),
]


def test_labels_are_compared_with_the_truth_where_it_is_known() -> None:
    labels = calibrate(QUESTIONS, BALLOTS, Known(a="7.0", b="4", c="1"))
    assert labels is not None
    assert (labels.questions, labels.known, labels.pairs) == (4, 3, 2)
    assert (labels.one_draw, labels.labels_right) == (0.0, 0.5)
    assert labels.bins == (Bin(0.5, 0.0, 1), Bin(0.75, 1.0, 1))
    assert labels.error == pytest.approx((0.5 + 0.25) / 2)


def test_without_an_oracle_nothing_is_claimed() -> None:
    assert calibrate(QUESTIONS, BALLOTS, NoOracle()) is None
    assert calibrate([], [], Known(a="7")) is None


def test_the_organism_s_oracle_solves_what_the_grammar_writes() -> None:
    import random

    from crescent.organism import ordering, world

    rng, oracle = random.Random(3), OrganismOracle()
    problems = [world.draw(rng) for _ in range(50)]
    assert sum(oracle.truth(one.question) == one.answer for one in problems) == 50
    puzzle = ordering.draw(rng)
    assert oracle.truth(puzzle.question) == puzzle.answer
    assert oracle.truth("What is the capital of France?") is None
