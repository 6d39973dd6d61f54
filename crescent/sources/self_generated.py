"""`source=crescent`: the method itself. The model writes questions, similar ones are rewritten, it answers, the
majority wins.

In: a `SourceContext`. Out: Questions, then QAPairs. Needs no seed data.
"""

from dataclasses import dataclass
from typing import ClassVar

from crescent.core.store import Artifact, internal
from crescent.sources.context import SourceContext, answer_and_vote


@dataclass(frozen=True, slots=True)
class SelfGenerated:
    """Steps 1 to 3. `num_pairs`: train on the first that many pairs, for comparisons at equal numbers; None: all."""

    KEY: ClassVar[str] = "OwnQuestions"

    name: str = "crescent"
    num_pairs: int | None = None
    elicits: bool = internal(default=True)

    def check(self, kind: str) -> None:
        """No-op: there is no seed data."""

    def ask(self, context: SourceContext) -> Artifact:
        """Elicits and diversifies, round by round."""
        stream = context.do(context.elicit)
        return context.do(context.diversify, stream, *context.earlier)

    def label(self, context: SourceContext, questions: Artifact, checked: Artifact) -> Artifact:
        """Answers and votes."""
        return answer_and_vote(context, checked)
