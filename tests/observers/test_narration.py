"""What a run prints: counts in words, and nothing where there is nothing to tell."""

import pytest

from crescent.core.console import Console, counted
from crescent.observers.narration import Narrator
from crescent.voting.calibration import Bin, Labels


@pytest.mark.parametrize(
    ("number", "words", "told"),
    [
        (0, ("pair",), "0 pairs"),
        (1, ("pair",), "1 pair"),
        (2, ("pair",), "2 pairs"),
        (12345, ("new token",), "12,345 new tokens"),
        (1, ("question resembles", "questions resemble"), "1 question resembles"),
        (3, ("question resembles", "questions resemble"), "3 questions resemble"),
    ],
)
def test_one_of_a_thing_is_told_in_the_singular(number: int, words: tuple[str, ...], told: str) -> None:
    assert counted(number, *words) == told


def test_labels_are_told_with_the_curve_of_agreement(capsys: pytest.CaptureFixture[str]) -> None:
    bins = (Bin(0.6, 0.5, 4), Bin(1.0, 1.0, 1))
    Narrator(Console()).labels_measured(Labels(6, 5, 0.4, 5, 0.6, 0.08, bins), 1)
    first, second = capsys.readouterr().err.splitlines()
    assert (
        first
        == "  votes on 5 questions with a known true answer: first draw correct 40.0%, winning answer correct 60.0%"
    )
    assert second.endswith("labels correct, by agreement of the draws: 60%: 50% of 4, 100%: 100% of 1")


def test_without_any_training_label_there_is_no_curve(capsys: pytest.CaptureFixture[str]) -> None:
    Narrator(Console()).labels_measured(Labels(1, 1, 0.0, 0, 0.0, 0.0, ()), 1)
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "  votes on 1 question with a known true answer: first draw correct 0.0%, no winning answer"
