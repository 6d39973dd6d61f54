"""Votes among the answers to one question: which answer wins, by how much, and when more draws cannot matter.

In: the canonical answers of a question's draws, in order; None for a draw without one. Out: a `VoteResult`, or whether
to stop drawing. Knows no model, no file and no meaning of answers: draws agree if their canonical forms are equal
strings.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args

from crescent.core.errors import UserError

Tie = Literal["drop", "first", "shortest"]
Reason = Literal["won", "tie", "no answer", "low agreement"]
TIES: tuple[Tie, ...] = get_args(Tie)


@dataclass(frozen=True, slots=True)
class VoteResult:
    """The outcome of one vote.

    `answer` is None unless `reason` is "won". `votes` counts the votes for the leading answer (0 if no draw answered);
    `tied` contains all answers with that many votes, in order of first occurrence: a single one if there is a clear
    leader.
    """

    answer: str | None
    votes: int
    draws: int
    reason: Reason
    tied: tuple[str, ...]

    @property
    def agreement(self) -> float:
        """votes / draws, 0 to 1. Draws without an answer count as draws."""
        return self.votes / self.draws


def vote(
    answers: Sequence[str | None],
    tie: Tie = "drop",
    min_agreement: float = 0.0,
    lengths: Sequence[int] | None = None,
) -> VoteResult:
    """Majority vote: self-consistency (Wang et al., arXiv 2203.11171, section 2).

    `tie` decides between several leaders: "drop" gives no winner, "first" the one that came up first, "shortest" the
    one with the shortest response (`lengths`, one per draw; then the first). A leader with an agreement (votes / draws)
    below `min_agreement` does not win. None never votes. Raises UserError for no draws, an unknown `tie`, missing
    `lengths`, or a `min_agreement` outside 0 to 1.
    """
    if isinstance(answers, str) or not answers:
        raise UserError("a vote needs a list of at least one draw's answer (None for a draw without an answer)")
    if tie not in TIES:
        raise UserError(f"tie={tie!r} is unknown; choose one of {', '.join(TIES)}")
    if not 0.0 <= min_agreement <= 1.0:
        raise UserError(f"min_agreement={min_agreement} must be between 0 and 1")
    if tie == "shortest" and (lengths is None or len(lengths) != len(answers)):
        raise UserError("tie='shortest' needs lengths: the length of each draw's response, in order")
    counts = _count(answers)
    votes = max(counts.values(), default=0)
    tied = tuple(answer for answer, count in counts.items() if count == votes)
    reason = _reason(tied, votes / len(answers), tie, min_agreement)
    if reason != "won":
        return VoteResult(None, votes, len(answers), reason, tied)
    winner = tied[0]
    if tie == "shortest" and lengths is not None:
        winner = min(tied, key=lambda one: min(n for n, said in zip(lengths, answers, strict=True) if said == one))
    return VoteResult(winner, votes, len(answers), reason, tied)


def is_settled(answers: Sequence[str | None], draws: int, tie: Tie = "drop", min_agreement: float = 0.0) -> bool:
    """True if the outcome (winner, or none) of a vote with `draws` draws is already certain from its first `answers`.

    That is: if and only if all possible remaining draws (any answer, a new answer, or none) give the same outcome.
    ("Early-stopping self-consistency", arXiv 2401.10480, stops on a window of equal answers and can be wrong; this
    cannot.)
    """
    left = draws - len(answers)
    if left <= 0:
        return True
    ranked = _count(answers).most_common()  # equal counts stay in order of first occurrence
    leader, rival = (ranked[0][1] if ranked else 0), (ranked[1][1] if len(ranked) > 1 else 0)
    if (leader + left) / draws < min_agreement:
        return True  # no answer can reach it any more
    if not ranked or leader / draws < min_agreement:
        return False
    overtaken = rival + left > leader
    met = rival + left == leader and (tie != "first" or _met_by_an_earlier(answers, ranked, left))
    return not (overtaken or met)


def is_confident(answers: Sequence[str | None], level: float, min_agreement: float = 0.0) -> bool:
    """True if the draws so far determine the winner of an unlimited vote with a posterior of at least `level`.

    The leader is ahead of the runner-up with probability P(p > 1/2), p ~ Beta(leader + 1, runner-up + 1): the beta rule
    of Adaptive-Consistency (Aggarwal et al., arXiv 2305.11860, section 3). With a `min_agreement`, it must be equally
    certain whether the leader's share of the draws reaches it; certainty that it does not (no pair) suffices.
    """
    ranked = _count(answers).most_common(2)
    leader, rival = (ranked[0][1] if ranked else 0), (ranked[1][1] if len(ranked) > 1 else 0)
    if min_agreement > 0:
        reaches = beta_above(min_agreement, leader + 1, len(answers) - leader + 1)
        if reaches <= 1 - level:
            return True
        if reaches < level:
            return False
    return bool(ranked) and beta_above(0.5, leader + 1, rival + 1) >= level


@lru_cache(maxsize=65536)
def beta_above(x: float, a: int, b: int) -> float:
    """P(p > x) for p ~ Beta(a, b) with integers a, b >= 1, exactly: the chance of fewer than a hits in a + b - 1 at
    x."""
    trials = a + b - 1
    return math.fsum(math.comb(trials, hits) * x**hits * (1 - x) ** (trials - hits) for hits in range(a))


def _count(answers: Sequence[str | None]) -> Counter[str]:
    return Counter(answer for answer in answers if answer is not None)


def _met_by_an_earlier(answers: Sequence[str | None], ranked: list[tuple[str, int]], left: int) -> bool:
    """True if an answer that came up before the leader could still tie with it, and thereby win."""
    leader, votes = ranked[0]
    earlier = set(answers[: answers.index(leader)])
    return any(answer in earlier for answer, count in ranked[1:] if count + left == votes)


def _reason(tied: tuple[str, ...], agreement: float, tie: Tie, min_agreement: float) -> Reason:
    if not tied:
        return "no answer"
    if len(tied) > 1 and tie == "drop":
        return "tie"
    return "low agreement" if agreement < min_agreement else "won"
