"""Operations on a seed set that the seeded baselines share.

In: a `SourceContext`, a JSONL file. Out: the seeds as Questions, new questions made from them, pairs selected from
draws.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from crescent.core.errors import UserError
from crescent.core.store import Artifact
from crescent.sources.context import SourceContext
from crescent.sources.filter_by_gold_stage import Distinct, Keep, Select
from crescent.sources.rewrite_stage import Rewrite, Way
from crescent.sources.seeds_stage import Seeds, read_seeds
from crescent.voting.draws import FixedDraws


@dataclass(frozen=True, slots=True)
class SeedSet:
    """A file, how many of its questions to sample with `seed` (None: all), and how many pairs are wanted."""

    path: str
    max_seeds: int | None
    num_pairs: int
    seed: int = 0

    def check_counts(self) -> None:
        """Raises UserError for invalid numbers."""
        if self.num_pairs < 1:
            raise UserError(f"source.num_pairs is {self.num_pairs}; it must be at least 1")
        if self.max_seeds is not None and self.max_seeds < 1:
            raise UserError(f"source.max_seeds is {self.max_seeds}; it must be at least 1, or null for all")

    def check(self, kind: str) -> None:
        """Raises UserError that names the line which cannot be read."""
        read_seeds(Path(self.path).expanduser(), kind)

    def ask(self, context: SourceContext) -> Artifact:
        """The seeds as questions."""
        path = Path(self.path).expanduser()
        return context.do(Seeds(context.domain.answer, self.max_seeds, self.seed, path))

    def rewrite(self, context: SourceContext, ways: tuple[Way, ...], with_seeds: bool) -> Artifact:
        """The seeds (if `with_seeds`), then new questions made from them."""
        seeds, domain = self.ask(context), context.domain
        stage = Rewrite(ways, context.answer.sampling, domain.min_chars, domain.max_chars, with_seeds)
        return context.do(stage, seeds)

    def select(
        self,
        context: SourceContext,
        questions: Artifact,
        checked: Artifact,
        keep: Keep,
        draws: int,
        distinct: Distinct = "text",
        shares: Mapping[str, float] | None = None,
    ) -> Artifact:
        """Pairs from `draws` draws for each of the `checked` subset of `questions`."""
        made = [context.do(context.answer, checked, until=FixedDraws(draws, keep))] if draws else []
        select = Select(keep, context.domain.answer, self.num_pairs, distinct, shares, draws)
        pairs = context.do(select, checked, *made, golds=questions)
        return context.do(context.contrast, pairs, *made) if keep == "right" else pairs
