"""Where training pairs come from: the `source` choice.

In: a `SourceContext`, which holds what a source may work with. Out, in two steps, so that questions are compared with
the benchmarks in between: an artifact of Questions, and an artifact of QAPairs. `self_generated.py` is Crescent itself;
`seeded.py` holds the baselines, which begin with seed data and are given as many pairs. A source trains and scores
nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from crescent.core.store import Artifact
from crescent.dedup.stage import Diversify
from crescent.domain import Domain
from crescent.elicitation.stage import Elicit
from crescent.voting.answer_stage import Answer
from crescent.voting.stage import Vote


@dataclass(frozen=True, slots=True)
class SourceContext:
    """What a source works with in one iteration: the stages that make pairs, with their settings, and
    `do(stage, *inputs)`, which runs one. `earlier` are the questions that are not to be asked again.

    A source reads no artifact itself: the planner of sweeps calls it with keys in their place.
    """

    do: Callable[..., Any]
    domain: Domain
    elicit: Elicit
    diversify: Diversify
    answer: Answer
    vote: Vote
    earlier: tuple[Artifact, ...] = ()


class Source(Protocol):
    """The settings of a `source` choice. `num_pairs` are trained on, None takes all there are."""

    @property
    def name(self) -> str: ...

    @property
    def num_pairs(self) -> int | None: ...

    @property
    def elicits(self) -> bool:
        """Whether the teacher asks the questions."""
        ...

    def check(self, kind: str) -> None:
        """Raises ValueError with a suggested fix where its seed data cannot be read. `kind` is the domain's of
        answers."""
        ...

    def ask(self, context: SourceContext) -> Artifact:
        """The questions of this iteration."""
        ...

    def label(self, context: SourceContext, questions: Artifact, checked: Artifact) -> Artifact:
        """Pairs of the `checked` ones of `questions`, with a ballot for each."""
        ...


def answer_and_vote(context: SourceContext, checked: Artifact) -> Artifact:
    """Each question is answered several times; the answer most draws agree on wins."""
    draws = context.do(context.answer, checked, until=context.vote)
    return context.do(context.vote, checked, draws)
