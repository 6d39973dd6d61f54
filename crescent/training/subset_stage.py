"""Selects the pairs to train on: the requested number, from this iteration or all so far.

In: artifacts of QAPairs. Out: one artifact of them; the input artifact if nothing needs to be done.
"""

from collections import Counter
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import ClassVar

from crescent.core.console import counted
from crescent.core.context import ModelKeys, Stage, StageContext
from crescent.core.errors import UserError
from crescent.core.records import QAPair
from crescent.core.store import Artifact, Key, Outcome


@dataclass(frozen=True, slots=True)
class Gather(Stage):
    """Uses the first `num_pairs` pairs of an iteration; None uses all."""

    NAME: ClassVar[str] = "gather"
    VERSION: ClassVar[int] = 1

    num_pairs: int | None = None

    def __post_init__(self) -> None:
        if self.num_pairs is not None and self.num_pairs < 1:
            raise UserError(f"source.num_pairs is {self.num_pairs}; it must be at least 1, or null for all")

    def key(self, models: ModelKeys, *inputs: str) -> Key | None:
        """None if all pairs are used."""
        return None if self.num_pairs is None else Key(self.NAME, self.VERSION, self, inputs)

    def title(self, *inputs: object, **options: object) -> str:
        """Empty: continues under the heading of the vote."""
        return ""

    def run(self, context: StageContext, pairs: Artifact) -> Artifact:
        """Returns the requested number of pairs; logs if there are fewer."""
        wanted = self.num_pairs or pairs.records
        if pairs.records < wanted:
            context.console.say(
                f"only {counted(pairs.records, 'pair')} of source.num_pairs={wanted}: there are no more"
            )
        if pairs.records <= wanted:
            return pairs

        def build(_work: Path) -> Outcome:
            return Outcome(islice(pairs.stream(QAPair), wanted), {"pairs": wanted, "of": pairs.records})

        return context.store.build(context.key(self, pairs), build)


@dataclass(frozen=True, slots=True)
class Accumulate(Stage):
    """The pairs of several iterations, first to last. For questions with the same text only the last iteration's pairs
    are kept, from the better model."""

    NAME: ClassVar[str] = "gather"
    VERSION: ClassVar[int] = 1

    def key(self, models: ModelKeys, *inputs: str) -> Key | None:
        """None if there is only one iteration."""
        return None if len(inputs) == 1 else Key(self.NAME, self.VERSION, "together", inputs)

    def title(self, *inputs: object, **options: object) -> str:
        """Empty: continues under the heading of the vote."""
        return ""

    def run(self, context: StageContext, *iterations: Artifact) -> Artifact:
        """Returns all pairs in one artifact."""

        def build(_work: Path) -> Outcome:
            pairs: dict[tuple[str, int], QAPair] = {}
            for artifact in iterations:
                turns: Counter[str] = Counter()
                fresh = artifact.read(QAPair)
                asked = {pair.question_id for pair in fresh}
                pairs = {place: pair for place, pair in pairs.items() if place[0] not in asked}
                for pair in fresh:  # within one iteration a question may have several answers, on purpose
                    pairs[pair.question_id, turns[pair.question_id]] = pair
                    turns[pair.question_id] += 1
            return Outcome(list(pairs.values()), {"pairs": len(pairs), "of_now": iterations[-1].records})

        return context.store.build(context.key(self, *iterations), build)
