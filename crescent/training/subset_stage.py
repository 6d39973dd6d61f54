"""Which pairs are trained on: as many as are asked for, of this iteration or of all so far.

In: artifacts of QAPairs. Out: one artifact of them; the one that came in where nothing is to be done.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from crescent.core.console import Console, counted
from crescent.core.records import QAPair
from crescent.core.store import Artifact, Outcome, Store


@dataclass(frozen=True, slots=True)
class Gather:
    """`num_pairs` of an iteration are taken, the first ones; None takes all."""

    NAME: ClassVar[str] = "gather"
    VERSION: ClassVar[int] = 1

    num_pairs: int | None = None

    def __post_init__(self) -> None:
        if self.num_pairs is not None and self.num_pairs < 1:
            raise ValueError(f"source.num_pairs is {self.num_pairs}; it must be at least 1, or null for all")

    def take(self, pairs: Artifact, store: Store, console: Console) -> Artifact:
        """As many pairs of one iteration as are wanted; where there are fewer, that is said."""
        wanted = pairs.records if self.num_pairs is None else self.num_pairs
        if pairs.records < wanted:
            console.say(f"only {counted(pairs.records, 'pair')} of source.num_pairs={wanted}: the source gives no more")
        if pairs.records <= wanted:
            return pairs

        def build(_work: Path) -> Outcome:
            return Outcome(pairs.read(QAPair)[:wanted], {"pairs": wanted, "of": pairs.records})

        return store.build(self.NAME, self.VERSION, self, [pairs.key], build)

    def together(self, iterations: Sequence[Artifact], store: Store) -> Artifact:
        """The pairs of several iterations, first to last. Where two ask in the same words, the later one's answer
        stays, instead: a question has one answer, the better model's."""
        if len(iterations) == 1:
            return iterations[0]

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

        return store.build(self.NAME, self.VERSION, "together", [artifact.key for artifact in iterations], build)
