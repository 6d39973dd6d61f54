"""Consensus: the draws of each question vote, and one response with the winning answer is kept.

In: Questions and their draws. Out: an artifact of QAPairs, with `ballots.jsonl`: the vote on each question, including
those without a pair. Answers are extracted only here. A draw that did not end by itself (cut off at its length limit,
or given up by the engine), or that ended inside a thought, counts as a draw without an answer. A pair's response is the
whole text: training decides which of its thoughts are targets. The rules are in `crescent.voting.rules`.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
            pairs, ballots, ended = [], [], list[str]()
            for question, draws in zip(questions.read(Question), answered.solutions, strict=True):
                answers = same(self._answers(draws))
                count = draws_consumed(self.rule, draws, answers)
                draws, answers = draws[:count], answers[:count]
                ended += [ending(draw.text, draw.finish_reason) for draw in draws]
                verdict = self.rule.decide(draws, answers)
                ballots.append(_ballot(question, answers, verdict))
                if verdict.chosen is not None:
                    pairs.append(_pair(question, draws[verdict.chosen], ballots[-1]))
            with open(work / BALLOTS, "w", encoding="utf-8") as file:
                file.writelines(encode(ballot) + "\n" for ballot in ballots)
            return Outcome(pairs, _info(ballots, ended), {BALLOTS: work / BALLOTS})

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


def _info(ballots: Sequence[Ballot], ended: Sequence[str]) -> dict[str, object]:
    """`ended`: how each draw ended."""
    kept = [ballot for ballot in ballots if ballot.chosen is not None]
    return {
        "questions": len(ballots),
        "pairs": len(kept),
        "without_pair": dict(sorted(Counter(ballot.reason for ballot in ballots if ballot.chosen is None).items())),
        "mean_agreement": round(sum(ballot.agreement for ballot in kept) / max(1, len(kept)), 4),
        "draws": sum(ballot.draws for ballot in ballots),
        "mean_draws": round(sum(ballot.draws for ballot in ballots) / max(1, len(ballots)), 4),
        "draws_without_answer": sum(ballot.answers.count(None) for ballot in ballots),
        "draws_unfinished": unfinished(ended),
    }
