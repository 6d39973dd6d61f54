"""Which pairs are trained on: as many as are asked for, of this iteration or of all so far.

In: artifacts of QAPairs. Out: one artifact of them; the one that came in where nothing is to be done.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from crescent.core.console import counted
from crescent.core.context import ModelKeys, Stage, StageContext
from crescent.core.errors import UserError
from crescent.core.records import QAPair
from crescent.core.store import Artifact, Key, Outcome


@dataclass(frozen=True, slots=True)
class Gather(Stage):
    """`num_pairs` of an iteration are taken, the first ones; None takes all."""

    NAME: ClassVar[str] = "gather"
    VERSION: ClassVar[int] = 1

    num_pairs: int | None = None

    def __post_init__(self) -> None:
        if self.num_pairs is not None and self.num_pairs < 1:
            raise UserError(f"source.num_pairs is {self.num_pairs}; it must be at least 1, or null for all")

    def key(self, models: ModelKeys, *inputs: str) -> Key | None:
        """None where all pairs are taken."""
        return None if self.num_pairs is None else Key(self.NAME, self.VERSION, self, inputs)

    def title(self, *inputs: object, **options: object) -> str:
        """It continues under the heading of the vote."""
        return ""

    def run(self, context: StageContext, pairs: Artifact) -> Artifact:
        """As many pairs as are wanted; where there are fewer, that is logged."""
        wanted = self.num_pairs or pairs.records
        if pairs.records < wanted:
            context.console.say(
                f"only {counted(pairs.records, 'pair')} of source.num_pairs={wanted}: the source gives no more"
            )
        if pairs.records <= wanted:
            return pairs

        def build(_work: Path) -> Outcome:
            return Outcome(pairs.read(QAPair)[:wanted], {"pairs": wanted, "of": pairs.records})

        return context.store.build(context.key(self, pairs), build)


@dataclass(frozen=True, slots=True)
class Accumulate(Stage):
    """The pairs of several iterations, first to last. Where two ask in the same words, the later one's answer stays,
    instead: a question has one answer, the better model's."""

    NAME: ClassVar[str] = "gather"
    VERSION: ClassVar[int] = 1

    def key(self, models: ModelKeys, *inputs: str) -> Key | None:
        """None where there is one iteration."""
        return None if len(inputs) == 1 else Key(self.NAME, self.VERSION, "together", inputs)

    def title(self, *inputs: object, **options: object) -> str:
        """It continues under the heading of the vote."""
        return ""

    def run(self, context: StageContext, *iterations: Artifact) -> Artifact:
        """All pairs in one artifact."""

        def build(_work: Path) -> Outcome:
            pairs: dict[tuple[str, int], QAPair] = {}
            for artifact in iterations:
                turns: Counter[str] = Counter()
                fresh = artifact.read(QAPair)
                asked = {pair.question_id for pair in fresh}
                pairs = {place: pair for place, pair in pairs.items() if place[0] not in asked}
                for pair in fresh:  # of one iteration a question may have several answers, on purpose
                    pairs[pair.question_id, turns[pair.question_id]] = pair
                    turns[pair.question_id] += 1
            return Outcome(list(pairs.values()), {"pairs": len(pairs), "of_now": iterations[-1].records})

        return context.store.build(context.key(self, *iterations), build)
