"""The stages of data that a user brings: questions to answer, or pairs to train on as they are.

In: a file or data set (`given_rows`). Out: an artifact of Questions, in an order that the seed decides, so that the
first n are a sample; and of QAPairs with `ballots.jsonl`, in the form and under the name of a vote's. Uses no model.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from crescent.answers import equivalent, extract
from crescent.core.console import counted
from crescent.core.context import ModelKeys, Stage, StageContext
from crescent.core.errors import UserError
from crescent.core.records import BALLOTS, Ballot, QAPair, Question, encode, text_id
from crescent.core.store import Artifact, Key, Outcome, not_in_key
from crescent.sources.given_rows import Where, content_key


@dataclass(frozen=True, slots=True)
class ReadQuestions(Stage):
    """The questions of a file; `max_questions` of them (None: all) without those of earlier iterations."""

    NAME: ClassVar[str] = "given"

    seed: int
    max_questions: int | None = None
    where: Where = not_in_key(default_factory=lambda: Where(""))

    def key(self, models: ModelKeys, *inputs: str) -> Key:
        """Based on the questions, not on the file. `inputs`: the questions of earlier iterations."""
        settings = {"stage": self, "content": content_key(self.where.read())}
        return Key(self.NAME, self.VERSION, settings, inputs)

    @property
    def expected(self) -> int:
        """The maximum number of questions."""
        found = len({one.question for one in self.where.read()})
        return found if self.max_questions is None else min(found, self.max_questions)

    def title(self, *inputs: object, **options: object) -> str:
        """Heading on the console, with the file's name."""
        return f"1 Questions from {self.where.name}"

    def run(self, context: StageContext, *earlier: Artifact) -> Artifact:
        """Returns the questions. Raises UserError if earlier iterations have asked them all."""

        def build(_work: Path) -> Outcome:
            texts = list(dict.fromkeys(one.question for one in self.where.read()))
            asked = {question.id for artifact in earlier for question in artifact.read(Question)}
            left = [Question(text_id(text), text, 0) for text in texts if text_id(text) not in asked]
            if not left:
                raise UserError(
                    f"no question of {self.where.data} is left for iteration {context.iteration}: iterate.pool=keep "
                    "asks none twice. Set source.max_questions, or iterate.pool=fresh"
                )
            kept = sorted(left, key=lambda one: text_id(str(self.seed), one.id))[: self.max_questions]
            return Outcome(kept, {"questions": len(kept), "of": len(texts), "asked_before": len(texts) - len(left)})

        return context.store.build(context.key(self, *earlier), build)


@dataclass(frozen=True, slots=True)
class ReadPairs(Stage):
    """The pairs of a file whose questions are still there after the checks. `kind` is how answers are extracted: from
    the field `answer` if there is one beside the response, else from the response."""

    NAME: ClassVar[str] = "vote"

    kind: str
    where: Where = not_in_key(default_factory=lambda: Where(""))

    def key(self, models: ModelKeys, *inputs: str) -> Key:
        """`inputs`: the questions."""
        return Key(self.NAME, self.VERSION, {"stage": self, "content": content_key(self.where.read())}, inputs)

    def title(self, *inputs: object, **options: object) -> str:
        """Heading on the console."""
        return f"3 Pairs from {self.where.name}, as they are"

    def run(self, context: StageContext, questions: Artifact) -> Artifact:
        """Returns the pairs, in the order of the questions."""

        def build(work: Path) -> Outcome:
            responses: dict[str, list[tuple[str, str | None]]] = defaultdict(list)
            for one in self.where.read():
                answer = extract(one.answer or one.response, self.kind)
                responses[text_id(one.question)].append((one.response, answer))
            asked = questions.read(Question)
            ballots = [_ballot(question, [answer for _, answer in responses[question.id]]) for question in asked]
            pairs = [
                QAPair(question.id, question.text, text, answer or "", ballot.votes, ballot.draws, ballot.agreement)
                for question, ballot in zip(asked, ballots, strict=True)
                for text, answer in responses[question.id]
            ]
            with open(work / BALLOTS, "w", encoding="utf-8") as file:
                file.writelines(encode(ballot) + "\n" for ballot in ballots)
            without = sum(not pair.answer for pair in pairs)
            if without:
                context.console.say(
                    f"{counted(without, 'pair')} without an answer of the kind {self.kind!r} (domain.answer): "
                    "trained on all the same"
                )
            return Outcome(pairs, _info(ballots, len(pairs), without), {BALLOTS: work / BALLOTS})

        return context.store.build(context.key(self, questions), build)


def _ballot(question: Question, answers: Sequence[str | None]) -> Ballot:
    """The responses of one question as if they were its draws; the first is the chosen one."""
    first = answers[0]
    votes = sum(first is not None and one is not None and equivalent(one, first) for one in answers)
    agreement = round(votes / len(answers), 4)
    return Ballot(question.id, tuple(answers), first, votes, len(answers), agreement, 0, "given")


def _info(ballots: Sequence[Ballot], pairs: int, without: int) -> dict[str, object]:
    """The counters of a vote, for everything that reports one."""
    return {
        "questions": len(ballots),
        "pairs": pairs,
        "pairs_by_kind": {"given": pairs},
        "without_pair": {},
        "mean_agreement": round(sum(ballot.agreement for ballot in ballots) / max(1, len(ballots)), 4),
        "draws": 0,
        "mean_draws": 0.0,
        "draws_without_answer": 0,
        "pairs_without_answer": without,
    }
