"""Sources of training pairs: the `source` choice.

In: a `SourceContext`, with everything a source may use. Out, in two steps, so that questions can be compared with the
benchmarks in between: an artifact of Questions, and an artifact of QAPairs. `self_generated.py` is Crescent itself;
`seeded.py` contains the baselines, which start from seed data and get as many pairs. A source does not train or score.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from crescent.core.store import Artifact
from crescent.dedup.stage import Diversify
from crescent.domain import Domain
from crescent.elicitation.stage import Elicit
from crescent.voting.answer_stage import Answer
from crescent.voting.contrast_stage import Contrast
from crescent.voting.stage import Vote

Loses = Literal["vote", "gold"] | None
"""What decides which draws of a question lose: the `vote`, the `gold` answer, or nothing (None). A source without an
attribute `judged_by` votes."""


@dataclass(frozen=True, slots=True)
class SourceContext:
    """What a source works with in one iteration: the stages that make pairs, with their settings, and `do(stage,
    *inputs)`, which runs a stage. `earlier` are the questions not to ask again.

    A source reads no artifact itself: the sweep planner calls it with keys in their place.
    """

    do: Callable[..., Any]
    domain: Domain
    elicit: Elicit
    diversify: Diversify
    answer: Answer
    vote: Vote
    contrast: Contrast
    earlier: tuple[Artifact, ...] = ()


class Source(Protocol):
    """The settings of a `source` choice. At most `num_pairs` pairs are trained on; None means all."""

    @property
    def name(self) -> str: ...

    @property
    def num_pairs(self) -> int | None: ...

    @property
    def elicits(self) -> bool:
        """True if the teacher generates the questions."""
        ...

    def check(self, kind: str) -> None:
        """Raises UserError if its seed data cannot be read. `kind` is the domain's answer kind."""
        ...

    def ask(self, context: SourceContext) -> Artifact:
        """Returns the questions of this iteration."""
        ...

    def label(self, context: SourceContext, questions: Artifact, checked: Artifact) -> Artifact:
        """Returns pairs for the `checked` subset of `questions`, with a ballot for each question. Ends with
        `context.contrast`, for objectives that learn from losing draws too; a no-op for others."""
        ...


def answer_and_vote(context: SourceContext, checked: Artifact) -> Artifact:
    """Draws several answers per question; the most frequent answer wins. Adds a response that lost, where wanted."""
    draws = context.do(context.answer, checked, until=context.vote)
    pairs = context.do(context.vote, checked, draws)
    return context.do(context.contrast, pairs, draws)
