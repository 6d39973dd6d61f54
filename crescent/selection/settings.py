"""The `select` choice: rules that choose pairs for training.

In: pairs in the order of their questions, and an embedder. Out: a `Chosen`: which of them are kept, in which order, and
why the others are not. A rule reads no benchmark and no true answer.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from crescent.core.context import Embed
from crescent.core.errors import UserError
from crescent.core.records import QAPair
from crescent.similarity.covering import cover, coverage
from crescent.voting.rules import Dissent, FormatOnly, Majority, Rule

DECIMALS = 4  # of an agreement in a QAPair; the limits of a band are rounded alike, so that 2/3 is within 0.66666667


@dataclass(frozen=True, slots=True)
class Chosen:
    """Indices of the kept pairs, in the order in which `source.num_pairs` counts them; indices of the others by reason
    (those in neither are counted as "not selected"); and figures for the reports.
    """

    kept: Sequence[int]
    left_out: Mapping[str, Sequence[int]] = field(default_factory=dict)
    figures: Mapping[str, float] = field(default_factory=dict)


class Selection(Protocol):
    """How pairs are chosen. With `uses_embeddings` the embedder's identity is part of the result's key."""

    @property
    def name(self) -> str: ...

    @property
    def uses_embeddings(self) -> bool: ...

    def choose(self, pairs: Sequence[QAPair], embed: Embed) -> Chosen: ...


@dataclass(frozen=True, slots=True)
class AllPairs:
    """`select=all`: every pair."""

    name: str = "all"

    @property
    def uses_embeddings(self) -> bool:
        return False

    def choose(self, pairs: Sequence[QAPair], embed: Embed) -> Chosen:
        return Chosen(range(len(pairs)))


@dataclass(frozen=True, slots=True)
class Agreement:
    """`select=agreement`: pairs whose vote had an agreement from `min` to `max` (shares of the draws, both included).

    Below the band the label is a guess; above it the model already knows the answer. R-Zero (arXiv 2508.05004) trains
    on questions whose agreement is 0.3 to 0.8.
    """

    name: str = "agreement"
    min: float = 0.3
    max: float = 0.8

    def __post_init__(self) -> None:
        for key in ("min", "max"):
            if not 0 <= getattr(self, key) <= 1:
                raise UserError(f"select.{key} is {getattr(self, key)}; it must be a share of the votes, from 0 to 1")
        if self.min > self.max:
            raise UserError(
                f"select.min is {self.min}, above select.max={self.max}, so no pair can be kept; swap the two"
            )

    @property
    def uses_embeddings(self) -> bool:
        return False

    def choose(self, pairs: Sequence[QAPair], embed: Embed) -> Chosen:
        """Raises UserError if the band is empty."""
        low = [index for index, pair in enumerate(pairs) if pair.agreement < round(self.min, DECIMALS)]
        high = [index for index, pair in enumerate(pairs) if pair.agreement > round(self.max, DECIMALS)]
        outside = {*low, *high}
        kept = [index for index in range(len(pairs)) if index not in outside]
        if pairs and not kept:
            found = [pair.agreement for pair in pairs]
            raise UserError(
                f"select=agreement keeps none of the {len(pairs):,} pairs: no vote has an agreement from {self.min:g} "
                f"to {self.max:g} ({len(low):,} are below, {len(high):,} above). They lie between {min(found):g} and "
                f"{max(found):g}: widen select.min and select.max, or choose select=all"
            )
        return Chosen(kept, {f"agreement below {self.min:g}": low, f"agreement above {self.max:g}": high})

    def check(self, rule: Rule) -> None:
        """Raises UserError if no vote of the rule can lie in the band."""
        fixed = isinstance(rule, Majority | FormatOnly | Dissent)
        least = getattr(rule, "min_agreement", 0.0)
        if least > self.max:
            raise UserError(
                f"vote.min_agreement is {least}, above select.max={self.max}, so no pair can be kept; lower "
                "vote.min_agreement or raise select.max"
            )
        if not fixed and rule.draws > 1:
            return  # it may stop after any number of draws
        possible = [votes / rule.draws for votes in range(1, rule.draws + 1)]
        if not any(round(self.min, DECIMALS) <= round(share, DECIMALS) <= round(self.max, DECIMALS)
                   for share in possible):  # fmt: skip
            shares = ", ".join(f"{share:.4g}" for share in possible)
            raise UserError(
                f"select=agreement from {self.min:g} to {self.max:g} can keep no pair: with vote.draws={rule.draws} an "
                f"agreement is {shares}; widen select.min and select.max, or raise vote.draws"
            )


@dataclass(frozen=True, slots=True)
class Diverse:
    """`select=diverse`: the `count` pairs (or that `share` of all) whose questions cover all questions best.

    The first pairs of a selection are themselves the best cover of their number, so `source.num_pairs` may take fewer.
    """

    name: str = "diverse"
    count: int | None = None
    share: float | None = 0.5

    def __post_init__(self) -> None:
        if self.count is None and self.share is None:
            raise UserError("select.count and select.share are both null; set one, as in select.share=0.5")
        if self.count is not None and self.count < 1:
            raise UserError(f"select.count is {self.count}; it must be at least 1, or null to use select.share")
        if self.share is not None and not 0 < self.share <= 1:
            raise UserError(f"select.share is {self.share}; it must be a share of the pairs, above 0 and up to 1")
        if self.count is not None:
            object.__setattr__(self, "share", None)  # unused, so not in the key

    @property
    def uses_embeddings(self) -> bool:
        return True

    def size(self, pairs: int) -> int:
        """How many of so many pairs are kept."""
        if self.count is not None:
            return min(self.count, pairs)
        assert self.share is not None
        return min(pairs, max(1, math.ceil(self.share * pairs - 1e-9)))

    def choose(self, pairs: Sequence[QAPair], embed: Embed) -> Chosen:
        count = self.size(len(pairs))
        if count == 0:
            return Chosen(())
        vectors = embed([pair.question for pair in pairs])
        kept = cover(vectors, count)
        inside = set(kept.tolist())
        rest = [index for index in range(len(pairs)) if index not in inside]
        first = coverage(vectors, np.arange(count))
        figures = {"coverage": coverage(vectors, kept), "coverage_of_first": first}
        return Chosen(kept.tolist(), {"covered by other questions": rest}, figures)
