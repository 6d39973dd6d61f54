"""Calibration: does the vote's agreement measure how often it is right?

In: ballots, and a ground-truth oracle for some of the questions. Out: label accuracy, and a curve of agreement against
the share of right winners. The oracle is used only to measure: no stage sees it.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from crescent.answers import equivalent
from crescent.core.records import Ballot, Question

BINS = 10


class Oracle(Protocol):
    """The `oracle` choice: a source of ground truth, used only to measure label accuracy."""

    @property
    def name(self) -> str: ...

    def truth(self, question: str) -> str | None:
        """The true answer, or None if unknown."""
        ...


@dataclass(frozen=True, slots=True)
class NoOracle:
    """`oracle=none`: no answer is known."""

    name: str = "none"

    def truth(self, question: str) -> str | None:
        return None


@dataclass(frozen=True, slots=True)
class Bin:
    """Questions whose winner has an agreement in one tenth of 0..1: mean agreement, and share of right winners."""

    agreement: float
    right: float
    questions: int


@dataclass(frozen=True, slots=True)
class Labels:
    """Shares in 0..1 over the questions with `known` truth.

    `one_draw`: accuracy of the first draws, over all known questions. `labels_right`: accuracy of the training answers,
    over the kept ones. `error` is the expected calibration error: the mean distance of agreement from accuracy,
    weighted by questions (Guo et al., arXiv 1706.04599, equation 3, with agreement as the confidence).
    """

    questions: int
    known: int
    one_draw: float
    pairs: int
    labels_right: float
    error: float
    bins: tuple[Bin, ...]

    @property
    def info(self) -> Mapping[str, float]:
        """The scalars, for logs."""
        return {
            "questions_with_known_answer": self.known,
            "one_draw_accuracy": self.one_draw,
            "label_accuracy": self.labels_right,
            "calibration_error": self.error,
        }


def calibrate(questions: Iterable[Question], ballots: Iterable[Ballot], oracle: Oracle) -> Labels | None:
    """Returns None if the oracle knows none of the questions. The i-th ballot is the vote on the i-th question."""
    asked, known = 0, list[tuple[Ballot, str]]()
    for question, ballot in zip(questions, ballots, strict=True):
        asked += 1
        if (truth := oracle.truth(question.text)) is not None:
            known.append((ballot, truth))
    if not known:
        return None
    first = [equivalent(ballot.answers[0] or "", truth) for ballot, truth in known]
    kept = [
        (ballot.agreement, equivalent(ballot.answers[ballot.chosen] or "", truth))
        for ballot, truth in known
        if ballot.chosen is not None
    ]
    bins = _bins(kept)
    return Labels(
        questions=asked,
        known=len(known),
        one_draw=_share(sum(first), len(first)),
        pairs=len(kept),
        labels_right=_share(sum(right for _, right in kept), len(kept)),
        error=_share(sum(abs(one.agreement - one.right) * one.questions for one in bins), len(kept)),
        bins=bins,
    )


def _bins(kept: Sequence[tuple[float, bool]]) -> tuple[Bin, ...]:
    groups: dict[int, list[tuple[float, bool]]] = defaultdict(list)
    for agreement, right in kept:
        groups[min(BINS - 1, int(agreement * BINS))].append((agreement, right))
    return tuple(
        Bin(_share(sum(a for a, _ in group), len(group)), _share(sum(r for _, r in group), len(group)), len(group))
        for _, group in sorted(groups.items())
    )


def _share(part: float, whole: float) -> float:
    return round(part / whole, 4) if whole else 0.0
