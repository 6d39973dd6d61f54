"""What all strategies share: candidates, decisions, and the tools they may use."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from crescent.core.records import Decision, Question, Verdict, text_id

Rewrite = tuple[str, str]
"""A question, and the neighbour it is too similar to."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A question being judged: its current text, its original text, its place in its round, and its number of
    rewrites.
    """

    text: str
    origin: str
    round: int
    place: int = 0
    rewrites: int = 0


@dataclass(frozen=True, slots=True)
class Judged:
    """The decision on one candidate, and the resulting question if one is kept."""

    decision: Decision
    question: Question | None

    @property
    def kept(self) -> Question:
        """The question; only for candidates known to be kept."""
        assert self.question is not None
        return self.question


@dataclass(frozen=True, slots=True)
class Tools:
    """What a strategy may use. `embed`: texts -> float32 [n, dimension] unit rows. `rewrite`: for each (question,
    neighbour) a new text, or None if the model wrote nothing usable. `folder`: where a large pool stores what it
    learns.
    """

    embed: Callable[[Sequence[str]], np.ndarray]
    rewrite: Callable[[Sequence[Rewrite]], list[str | None]]
    folder: Path | None = None


class Judge(Protocol):
    """An opened strategy, with its pool."""

    def judge(self, candidates: Sequence[Candidate]) -> list[Judged]:
        """Judges one round, adds kept questions to the pool, and returns one decision per candidate, in order."""
        ...

    def remember(self, questions: Sequence[Question]) -> None:
        """Adds questions to the pool unjudged: those kept by earlier iterations."""
        ...


class Dedup(Protocol):
    """The settings of a strategy; `open` starts with an empty pool."""

    @property
    def name(self) -> str: ...

    def open(self, tools: Tools) -> Judge: ...


def why_useless(question: str, rewrite: str | None) -> str | None:
    """Why a rewrite is dropped unjudged: it contains no question, or is unchanged. Asking again would give the same."""
    if rewrite is None:
        return "rewrite without a question"
    return "rewrite unchanged" if rewrite.split() == question.split() else None


def keep(candidate: Candidate, reason: str, nearest: str | None = None, cosine: float = 0.0) -> Judged:
    """Keeps the candidate as a question."""
    rewritten = candidate.rewrites > 0
    parent = text_id(candidate.origin) if rewritten else None
    question = Question(text_id(candidate.text), candidate.text, candidate.round, parent)
    verdict: Verdict = "rewritten" if rewritten else "accepted"
    return Judged(_decision(candidate, question.id, verdict, reason, nearest, cosine), question)


def drop(candidate: Candidate, reason: str, nearest: str | None = None, cosine: float = 0.0) -> Judged:
    """Drops the candidate."""
    return Judged(_decision(candidate, text_id(candidate.origin), "dropped", reason, nearest, cosine), None)


def _decision(
    candidate: Candidate, question_id: str, verdict: Verdict, reason: str, nearest: str | None, cosine: float
) -> Decision:
    cosine, origin = round(float(cosine), 4), candidate.origin
    return Decision(question_id, verdict, nearest, cosine, candidate.rewrites, reason, origin, candidate.round)
