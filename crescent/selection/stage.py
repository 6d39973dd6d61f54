"""Selects pairs for training by a rule: a band of agreement, a subset that covers most, or one of the user's.

In: an artifact of QAPairs. Out: an artifact of the kept ones, in the rule's order; the input artifact for select=all.
`source.num_pairs` then takes the first of them. This stage is our addition to the published method.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from crescent.core.console import counted
from crescent.core.context import ModelKeys, Stage, StageContext
from crescent.core.errors import UserError
from crescent.core.records import QAPair
from crescent.core.store import Artifact, Key, Outcome
from crescent.selection.settings import AllPairs, Chosen, Diverse, Selection

EXAMPLES, EXAMPLE_CHARACTERS = 3, 300  # number and length of left-out questions quoted per reason in the info
NOT_SELECTED = "not selected"


@dataclass(frozen=True, slots=True)
class SelectPairs(Stage):
    """Keeps the pairs that `settings` chooses."""

    NAME: ClassVar[str] = "select"
    VERSION: ClassVar[int] = 1

    settings: Selection

    def key(self, models: ModelKeys, *inputs: str) -> Key | None:
        """None for select=all."""
        if isinstance(self.settings, AllPairs):
            return None
        embedder = (models.embedder,) if self.settings.uses_embeddings else ()
        return Key(self.NAME, self.VERSION, self, (*inputs, *embedder))

    def title(self, *inputs: object, **options: object) -> str:
        """Empty: continues under the heading of the vote."""
        return ""

    def most(self, pairs: int) -> int:
        """The maximum number that is kept of so many pairs."""
        return self.settings.size(pairs) if isinstance(self.settings, Diverse) else pairs

    def run(self, context: StageContext, pairs: Artifact) -> Artifact:
        """Raises UserError if no pair is kept."""

        def build(_work: Path) -> Outcome:
            made = pairs.read(QAPair)
            chosen = self.settings.choose(made, context.embed)
            _check(self.settings.name, chosen.kept, made)
            return Outcome([made[index] for index in chosen.kept], _info(made, chosen))

        kept = context.store.build(context.key(self, pairs), build)
        wanted = getattr(self.settings, "count", None)
        if isinstance(wanted, int) and pairs.records < wanted:
            context.console.say(f"only {counted(pairs.records, 'pair')} of select.count={wanted}: there are no more")
        return kept


def _check(name: str, kept: Sequence[int], pairs: Sequence[QAPair]) -> None:
    if len(set(kept)) < len(kept) or not all(0 <= index < len(pairs) for index in kept):
        raise UserError(
            f"select={name} chose an index twice, or one that is not from 0 to {len(pairs) - 1}; correct its choose()"
        )
    if pairs and not kept:
        raise UserError(
            f"select={name} keeps none of {counted(len(pairs), 'pair')}; loosen its settings, or choose select=all"
        )


def _info(pairs: Sequence[QAPair], chosen: Chosen) -> dict[str, Any]:
    named = {index for indices in chosen.left_out.values() for index in indices}
    rest = sorted(set(range(len(pairs))) - named - set(chosen.kept))
    left_out = {**chosen.left_out, NOT_SELECTED: rest}
    agreement = sum(pairs[index].agreement for index in chosen.kept) / max(1, len(chosen.kept))
    return {
        "pairs": len(chosen.kept),
        "of": len(pairs),
        "mean_agreement": round(agreement, 4),
        **chosen.figures,
        "thrown_away": {
            reason: {
                "count": len(indices),
                "examples": [pairs[index].question[:EXAMPLE_CHARACTERS] for index in indices[:EXAMPLES]],
            }
            for reason, indices in left_out.items()
            if indices
        },
    }
