"""Consensus: the draws of each question vote, and one response with the winning answer is kept.

In: Questions and their draws. Out: an artifact of QAPairs, with `ballots.jsonl`: the vote on each question, including
those without a pair. Answers are extracted only here. A draw that did not end by itself (cut off at its length limit,
or given up by the engine), or that ended inside a thought, counts as a draw without an answer. A pair's response is the
whole text: training decides which of its thoughts are targets. The rules are in `crescent.voting.rules`.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from crescent.answers import extract
from crescent.answers.symbolic import SymbolicEquality
from crescent.answers.thoughts import ending
from crescent.core.context import Stage, StageContext
from crescent.core.records import BALLOTS, Ballot, QAPair, Question, Solution, encode
from crescent.core.store import Artifact, Outcome, Store
from crescent.engines import unfinished
from crescent.voting.draws import Draws
from crescent.voting.rules import Rule, Verdict, draws_consumed


@dataclass(frozen=True, slots=True)
class Vote(Stage):
    """Settings. `kind` is how answers are extracted (`crescent.answers`), `equality` which of them count as equal."""

    NAME: ClassVar[str] = "vote"
    VERSION: ClassVar[int] = 5

    rule: Rule
    kind: str
    equality: Literal["canonical", "symbolic"] = "canonical"

    @property
    def name(self) -> str:
        """Name of the rule."""
        return self.rule.name

    @property
    def draws(self) -> int:
        """Maximum number of draws per question."""
        return self.rule.draws

    def wanted(self, store: Store) -> Callable[[Sequence[Solution]], int]:
        """Returns a function from a question's draws so far to how many more the rule needs."""
        same = self._same(store)
        return lambda solutions: self.rule.wanted(solutions, same(self._answers(solutions)))

    def title(self, *inputs: object, **options: object) -> str:
        """Empty: continues under the heading of the answers."""
        return ""

    def run(self, context: StageContext, questions: Artifact, answered: Draws) -> Artifact:
        """Returns the pairs of all questions whose vote has a winner."""
        same = self._same(context.store)

        def build(work: Path) -> Outcome:
            info: dict[str, object] = {}
            return Outcome(pairs(work / BALLOTS, info), info, {BALLOTS: work / BALLOTS})

        def pairs(ballots: Path, info: dict[str, object]) -> Iterator[QAPair]:
            """Votes question by question: neither draws nor ballots of all questions are in memory."""
            totals = _Totals()
            with open(ballots, "w", encoding="utf-8") as file:
                for question, draws in zip(questions.stream(Question), answered.solutions, strict=True):
                    answers = same(self._answers(draws))
                    count = draws_consumed(self.rule, draws, answers)
                    draws, answers = draws[:count], answers[:count]
                    verdict = self.rule.decide(draws, answers)
                    ballot = _ballot(question, answers, verdict)
                    totals.add(ballot, [ending(draw.text, draw.finish_reason) for draw in draws])
                    file.write(encode(ballot) + "\n")
                    if verdict.chosen is not None:
                        yield _pair(question, draws[verdict.chosen], ballot)
            info.update(totals.info())

        return context.store.build(context.key(self, questions, answered), build)

    def _same(self, store: Store) -> Callable[[Sequence[str | None]], list[str | None]]:
        """Maps answers to representatives: equal answers become the same string."""
        if self.equality == "canonical":
            return list
        return SymbolicEquality(store.root / "verdicts").representatives

    def _answers(self, solutions: Sequence[Solution]) -> list[str | None]:
        return [extract(draw.text, self.kind) if draw.finish_reason == "stop" else None for draw in solutions]


def _ballot(question: Question, answers: Sequence[str | None], verdict: Verdict) -> Ballot:
    votes, draws = verdict.votes, len(answers)
    agreement = round(votes / draws, 4)
    return Ballot(question.id, tuple(answers), verdict.answer, votes, draws, agreement, verdict.chosen, verdict.reason)


def _pair(question: Question, solution: Solution, ballot: Ballot) -> QAPair:
    assert ballot.answer is not None
    text = solution.text.strip()
    return QAPair(question.id, question.text, text, ballot.answer, ballot.votes, ballot.draws, ballot.agreement)


@dataclass(slots=True)
class _Totals:
    """The counters of a vote."""

    questions: int = 0
    draws: int = 0
    without_answer: int = 0
    agreements: float = 0.0  # of the pairs
    pairs: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)

    def add(self, ballot: Ballot, ended: Sequence[str]) -> None:
        """`ended`: how each draw ended."""
        self.questions += 1
        self.draws += ballot.draws
        self.without_answer += ballot.answers.count(None)
        self.ended.update(ended)
        if ballot.chosen is None:
            self.lost[ballot.reason] += 1
        else:
            self.pairs += 1
            self.agreements += ballot.agreement

    def info(self) -> dict[str, object]:
        return {
            "questions": self.questions,
            "pairs": self.pairs,
            "without_pair": dict(sorted(self.lost.items())),
            "mean_agreement": round(self.agreements / max(1, self.pairs), 4),
            "draws": self.draws,
            "mean_draws": round(self.draws / max(1, self.questions), 4),
            "draws_without_answer": self.without_answer,
            "draws_unfinished": unfinished(self.ended.elements()),
        }
