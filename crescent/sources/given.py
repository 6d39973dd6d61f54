"""`source=questions` and `source=pairs`: the user's own data.

In: a `SourceContext`, a file or data set. Out: Questions, then QAPairs: answered by the teacher and voted on, or as the
file has them. Both are compared with the benchmarks like any other questions.
"""

from dataclasses import dataclass
from typing import ClassVar

from crescent.core.errors import UserError
from crescent.core.store import Artifact, internal
from crescent.sources.context import Loses, SourceContext, answer_and_vote
from crescent.sources.given_rows import AUTO, Where
from crescent.sources.given_stage import ReadPairs, ReadQuestions


@dataclass(frozen=True, slots=True)
class GivenQuestions:
    """`source=questions`: the teacher answers the questions of `data` and the majority wins, as in Crescent itself.

    `max_questions` are used (None: all), in an order that `seed` decides; with iterate.pool=keep each iteration uses
    others. `num_pairs` is the maximum to train on.
    """

    name: str
    data: str
    question_field: str = AUTO
    split: str = "train"
    subset: str | None = None
    max_questions: int | None = None
    num_pairs: int | None = None
    seed: int = 0
    elicits: bool = internal(default=False)

    def __post_init__(self) -> None:
        _check_count("max_questions", self.max_questions)

    @property
    def where(self) -> Where:
        """The file and its fields."""
        return Where(self.data, self.question_field, None, self.split, self.subset)

    def check(self, kind: str) -> None:
        """Raises UserError if a row cannot be used."""
        self.where.read()

    def ask(self, context: SourceContext) -> Artifact:
        return context.do(ReadQuestions(self.seed, self.max_questions, self.where), *context.earlier)

    def label(self, context: SourceContext, questions: Artifact, checked: Artifact) -> Artifact:
        """Answers and votes."""
        return answer_and_vote(context, checked)


@dataclass(frozen=True, slots=True)
class GivenPairs:
    """`source=pairs`: the pairs of `data` go straight to training. `num_pairs` are used (None: all), in an order that
    `seed` decides."""

    judged_by: ClassVar[Loses] = None

    name: str
    data: str
    question_field: str = AUTO
    response_field: str = AUTO
    split: str = "train"
    subset: str | None = None
    num_pairs: int | None = None
    seed: int = 0
    elicits: bool = internal(default=False)

    @property
    def where(self) -> Where:
        """The file and its fields."""
        return Where(self.data, self.question_field, self.response_field, self.split, self.subset)

    def check(self, kind: str) -> None:
        """Raises UserError if a row cannot be used."""
        self.where.read()

    def ask(self, context: SourceContext) -> Artifact:
        """The questions of the pairs, for the checks."""
        return context.do(ReadQuestions(self.seed, None, self.where))

    def label(self, context: SourceContext, questions: Artifact, checked: Artifact) -> Artifact:
        """The pairs of the questions that the checks have left."""
        return context.do(ReadPairs(context.domain.answer, self.where), checked)


def _check_count(name: str, value: int | None) -> None:
    if value is not None and value < 1:
        raise UserError(f"source.{name} is {value}; it must be at least 1, or null for all")
