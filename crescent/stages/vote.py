"""Consensus: the draws of each question vote, and one response that reached the winning answer is kept.

In: Questions and their draws. Out: an artifact of QAPairs, with `ballots.jsonl`: how each question's draws voted, the
ones that gave no pair included. Answers are extracted here and nowhere before. A draw that was cut off at its length
limit has committed to nothing and counts as a draw without an answer.
"""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, Protocol

from crescent.answers import extract
from crescent.consensus import TIES, Tie, vote
from crescent.records import Ballot, QAPair, Question, Solution, encode, text_id
from crescent.store import Artifact, Outcome, Store

BALLOTS = "ballots.jsonl"
Choose = Literal["first", "shortest", "random", "logprob"]
CHOICES: tuple[Choose, ...] = ("first", "shortest", "random", "logprob")


@dataclass(frozen=True, slots=True)
class Verdict:
    """How one question's vote ended: `chosen` is the index of the draw to train on, None for no pair."""

    answer: str | None
    votes: int
    chosen: int | None
    reason: str


class Rule(Protocol):
    """The settings of a vote."""

    @property
    def name(self) -> str: ...

    @property
    def draws(self) -> int: ...

    def decide(self, solutions: Sequence[Solution], answers: Sequence[str | None]) -> Verdict: ...


@dataclass(frozen=True, slots=True)
class Majority:
    """`vote=majority`: the answer most of `draws` agree on wins (self-consistency, arXiv 2203.11171).

    `choose` names the winning response to train on: the first, the shortest, a random one by seed, or the one with the
    highest mean log-probability.
    """

    name: str = "majority"
    draws: int = 5
    tie: Tie = "drop"
    min_agreement: float = 0.0
    choose: Choose = "first"
    seed: int = 0

    def __post_init__(self) -> None:
        _check_draws(self.draws)
        if self.tie not in TIES:
            raise ValueError(f"vote.tie is {self.tie!r}; it may be {', '.join(TIES)}")
        if not 0 <= self.min_agreement <= 1:
            raise ValueError(f"vote.min_agreement is {self.min_agreement}; it is a share of the draws, from 0 to 1")
        if self.choose not in CHOICES:
            raise ValueError(f"vote.choose is {self.choose!r}; it may be {', '.join(CHOICES)}")

    def decide(self, solutions: Sequence[Solution], answers: Sequence[str | None]) -> Verdict:
        result = vote(answers, self.tie, self.min_agreement)
        if result.answer is None:
            return Verdict(None, result.votes, None, result.reason)
        winners = [index for index, answer in enumerate(answers) if answer == result.answer]
        return Verdict(result.answer, result.votes, _choose(solutions, winners, self.choose, self.seed), result.reason)


@dataclass(frozen=True, slots=True)
class Single:
    """`vote=single`: the first draw is the answer (the ablation without consensus)."""

    name: str = "single"
    draws: int = 1

    def __post_init__(self) -> None:
        _check_draws(self.draws)

    def decide(self, solutions: Sequence[Solution], answers: Sequence[str | None]) -> Verdict:
        if answers[0] is None:
            return Verdict(None, 0, None, "no answer")
        return Verdict(answers[0], 1, 0, "first draw")


@dataclass(frozen=True, slots=True)
class FormatOnly:
    """`vote=format_only`: a control. The questions `majority` keeps, each with one of its answered draws by chance.

    The student learns the same form of response from answers that are right no more often than any draw, so what it
    gains over this is what the vote brought.
    """

    name: str = "format_only"
    draws: int = 5
    tie: Tie = "drop"
    min_agreement: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        _check_draws(self.draws)

    def decide(self, solutions: Sequence[Solution], answers: Sequence[str | None]) -> Verdict:
        result = vote(answers, self.tie, self.min_agreement)
        if result.answer is None:
            return Verdict(None, result.votes, None, result.reason)
        answered = [index for index, answer in enumerate(answers) if answer is not None]
        chosen = _choose(solutions, answered, "random", self.seed)
        return Verdict(answers[chosen], Counter(answers)[answers[chosen]], chosen, "random draw")


@dataclass(frozen=True, slots=True)
class Vote:
    """`kind` is how answers are extracted (`crescent.answers`)."""

    VERSION: ClassVar[int] = 1

    rule: Rule
    kind: str

    def run(
        self,
        questions: Artifact,
        texts: Sequence[Question],
        solutions: Sequence[Sequence[Solution]],
        ledger: str,
        store: Store,
    ) -> Artifact:
        """The pairs of all questions whose vote has a winner. `ledger` is the key of the draws' ledger."""

        def build(work: Path) -> Outcome:
            pairs, ballots = [], []
            for question, draws in zip(texts, solutions, strict=True):
                answers = [None if draw.finish_reason == "length" else extract(draw.text, self.kind) for draw in draws]
                verdict = self.rule.decide(draws, answers)
                ballots.append(_ballot(question, answers, verdict))
                if verdict.chosen is not None:
                    pairs.append(_pair(question, draws[verdict.chosen], ballots[-1]))
            with open(work / BALLOTS, "w", encoding="utf-8") as file:
                file.writelines(encode(ballot) + "\n" for ballot in ballots)
            return Outcome(pairs, _info(ballots), {BALLOTS: work / BALLOTS})

        return store.build("vote", self.VERSION, self, [questions.key, ledger], build)


def _choose(solutions: Sequence[Solution], among: Sequence[int], how: Choose, seed: int) -> int:
    if how == "shortest":
        return min(among, key=lambda index: (len(solutions[index].text), index))
    if how == "logprob":
        return max(among, key=lambda index: (solutions[index].mean_logprob, -index))
    if how == "random":
        return random.Random(text_id(str(seed), solutions[0].question_id)).choice(among)
    return among[0]


def _ballot(question: Question, answers: Sequence[str | None], verdict: Verdict) -> Ballot:
    votes, draws = verdict.votes, len(answers)
    agreement = round(votes / draws, 4)
    return Ballot(question.id, tuple(answers), verdict.answer, votes, draws, agreement, verdict.chosen, verdict.reason)


def _pair(question: Question, solution: Solution, ballot: Ballot) -> QAPair:
    assert ballot.answer is not None
    text = solution.text.strip()
    return QAPair(question.id, question.text, text, ballot.answer, ballot.votes, ballot.draws, ballot.agreement)


def _info(ballots: Sequence[Ballot]) -> dict[str, object]:
    kept = [ballot for ballot in ballots if ballot.chosen is not None]
    return {
        "questions": len(ballots),
        "pairs": len(kept),
        "without_pair": dict(sorted(Counter(ballot.reason for ballot in ballots if ballot.chosen is None).items())),
        "mean_agreement": round(sum(ballot.agreement for ballot in kept) / max(1, len(kept)), 4),
        "draws_without_answer": sum(ballot.answers.count(None) for ballot in ballots),
    }


def _check_draws(draws: int) -> None:
    if draws < 1:
        raise ValueError(f"vote.draws is {draws}; it must be at least 1")
