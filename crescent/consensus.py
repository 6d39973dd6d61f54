"""Votes among the answers to one question: which answer wins, and by how much.

In: the canonical answers of a question's draws, in order, None for a draw without one. Out: a `VoteResult`. Nothing
here knows a model, a file or what an answer means: draws agree where their canonical forms are equal strings.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

Tie = Literal["drop", "first"]
Reason = Literal["won", "tie", "no answer", "low agreement"]
TIES: tuple[Tie, ...] = get_args(Tie)


@dataclass(frozen=True, slots=True)
class VoteResult:
    """The outcome of one vote.

    `answer` is None unless `reason` is "won". `votes` is what the leading answer got (0 where no draw answered), `tied`
    all answers that got as many, in the order they came up: one where there is a plain leader.
    """

    answer: str | None
    votes: int
    draws: int
    reason: Reason
    tied: tuple[str, ...]

    @property
    def agreement(self) -> float:
        """votes / draws, 0 to 1. A draw without an answer counts in the draws."""
        return self.votes / self.draws


def vote(answers: Sequence[str | None], tie: Tie = "drop", min_agreement: float = 0.0) -> VoteResult:
    """The answer that most draws agree on: self-consistency (Wang et al., arXiv 2203.11171, section 2).

    `tie` is what several leaders mean: "drop" no winner, "first" the one that came up first. A leader with an agreement
    (votes / draws) below `min_agreement` does not win. None never votes. Raises ValueError for no draws, an unknown
    `tie` and a `min_agreement` outside 0 to 1.
    """
    if isinstance(answers, str) or not answers:
        raise ValueError("a vote needs a list of at least one draw's answer (None for a draw without an answer)")
    if tie not in TIES:
        raise ValueError(f"tie={tie!r} is unknown: choose one of {', '.join(TIES)}")
    if not 0.0 <= min_agreement <= 1.0:
        raise ValueError(f"min_agreement={min_agreement} must lie between 0 and 1")
    counts = Counter(answer for answer in answers if answer is not None)
    votes = max(counts.values(), default=0)
    tied = tuple(answer for answer, count in counts.items() if count == votes)
    reason = _reason(tied, votes / len(answers), tie, min_agreement)
    return VoteResult(tied[0] if reason == "won" else None, votes, len(answers), reason, tied)


def _reason(tied: tuple[str, ...], agreement: float, tie: Tie, min_agreement: float) -> Reason:
    if not tied:
        return "no answer"
    if len(tied) > 1 and tie == "drop":
        return "tie"
    return "low agreement" if agreement < min_agreement else "won"
