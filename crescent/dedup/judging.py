"""What every strategy shares: candidates, decisions, and the tools it may use.

In: nothing. Out: records that say whether a candidate is kept, as what text, and why.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from crescent.core.records import Decision, Question, Verdict, text_id

Rewrite = tuple[str, str]
"""A question and the neighbour it is too similar to."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A question under judgement: the text now, the text it began as, its place in its round, and how often it was
    rewritten."""

    text: str
    origin: str
    round: int
    place: int = 0
    rewrites: int = 0


@dataclass(frozen=True, slots=True)
class Judged:
    """The decision on one candidate, and the question that is kept because of it, if one is."""

    decision: Decision
    question: Question | None

    @property
    def kept(self) -> Question:
        """The question, where one is known to be kept."""
        assert self.question is not None
        return self.question


@dataclass(frozen=True, slots=True)
class Tools:
    """What a strategy may use. `embed`: texts -> float32 [n, dimension] unit rows. `rewrite`: one text (or None where
    the model wrote nothing usable) for each (question, neighbour). `folder`: what a large pool learns is kept there."""

    embed: Callable[[Sequence[str]], np.ndarray]
    rewrite: Callable[[Sequence[Rewrite]], list[str | None]]
    folder: Path | None = None


class Judge(Protocol):
    """A strategy with its pool."""

    def judge(self, candidates: Sequence[Candidate]) -> list[Judged]:
        """Judges one round, adds what is kept to the pool, and returns one decision a candidate, in order."""
        ...

    def remember(self, questions: Sequence[Question]) -> None:
        """Puts questions into the pool unjudged: those that an earlier run of the loop has kept."""
        ...


class Dedup(Protocol):
    """The settings of a strategy; `open` starts an empty pool."""

    @property
    def name(self) -> str: ...

    def open(self, tools: Tools) -> Judge: ...


def why_useless(question: str, rewrite: str | None) -> str | None:
    """Why a rewrite cannot be judged: it holds no question, or the same one. The same prompt would bring it again."""
    if rewrite is None:
        return "rewrite without a question"
    return "rewrite unchanged" if rewrite.split() == question.split() else None


def keep(candidate: Candidate, reason: str, nearest: str | None = None, cosine: float = 0.0) -> Judged:
    """The candidate becomes a question."""
    rewritten = candidate.rewrites > 0
    parent = text_id(candidate.origin) if rewritten else None
    question = Question(text_id(candidate.text), candidate.text, candidate.round, parent)
    verdict: Verdict = "rewritten" if rewritten else "accepted"
    return Judged(_decision(candidate, question.id, verdict, reason, nearest, cosine), question)


def drop(candidate: Candidate, reason: str, nearest: str | None = None, cosine: float = 0.0) -> Judged:
    """The candidate is not kept."""
    return Judged(_decision(candidate, text_id(candidate.origin), "dropped", reason, nearest, cosine), None)


def _decision(
    candidate: Candidate, question_id: str, verdict: Verdict, reason: str, nearest: str | None, cosine: float
) -> Decision:
    cosine, origin = round(float(cosine), 4), candidate.origin
    return Decision(question_id, verdict, nearest, cosine, candidate.rewrites, reason, origin, candidate.round)
