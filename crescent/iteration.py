"""Several passes of self-improvement: what one takes over from those before it, and a monitor for collapse.

In: the `iterate` node, figures of each pass. Out: who is trained, on which pairs, which questions are not asked again,
and a line for each figure that has fallen too far. Pure: no model, no file.

Models that learn from themselves can lose variety and quality from pass to pass: Shumailov et al. (Nature 631, 2024)
for text; R-Zero (arXiv 2508.05004) for pseudo-labels, whose accuracy falls with the passes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeVar

from crescent.core.store import Artifact

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Figures:
    """One pass in figures; None where it is not known. Shares lie in 0..1.

    `diversity` is the effective number of different questions (Vendi) among those the model asked, before any were
    rejected; `valid` the share of its texts that are questions; `agreement` the mean of the votes that were kept;
    `score` the mean of the student's primary scores.
    """

    iteration: int
    pairs: int
    trained_on: int
    diversity: float | None = None
    largest_cluster: float | None = None
    valid: float | None = None
    agreement: float | None = None
    label_accuracy: float | None = None
    score: float | None = None


@dataclass(frozen=True, slots=True)
class Iterate:
    """The `iterate` node. Limits are shares of what the first pass had: below one, that is taken for a collapse."""

    start: Literal["base", "last"] = "base"
    data: Literal["replace", "accumulate"] = "replace"
    pool: Literal["fresh", "keep"] = "fresh"
    on_collapse: Literal["warn", "stop"] = "warn"
    min_diversity: float = 0.5
    min_valid: float = 0.7
    min_agreement: float = 0.8
    min_score: float = 0.95

    def __post_init__(self) -> None:
        for limit in self.limits:
            if not 0 <= getattr(self, limit) <= 1:
                raise ValueError(
                    f"iterate.{limit} is {getattr(self, limit)}; it is a share of the first iteration's, from 0 to 1 "
                    "(0 switches it off)"
                )

    @property
    def limits(self) -> tuple[str, ...]:
        """The names of the limits, each min_ and a figure."""
        return tuple(one.name for one in fields(self) if one.name.startswith("min_"))

    def learner(self, base: T, last: T) -> T:
        """Who is trained next: `base` begins anew, `last` goes on with what the pass before learned."""
        return {"base": base, "last": last}[self.start]

    def training_data(self, made: Sequence[T]) -> Sequence[T]:
        """Of the pairs of all passes, those trained on: the newest, or all."""
        return {"replace": made[-1:], "accumulate": made}[self.data]

    def not_again(self, asked: Sequence[T]) -> tuple[T, ...]:
        """Of the questions of earlier passes, those that new ones are compared with: none, or all."""
        return {"fresh": (), "keep": tuple(asked)}[self.pool]

    def falls(self, first: Figures, now: Figures) -> list[str]:
        """A line for each figure that is below its limit, as in "diversity fell to 12.1, 40% of the first's 30.2"."""
        lines = []
        for limit in self.limits:
            name = limit.removeprefix("min_")
            before, after = getattr(first, name), getattr(now, name)
            if before and after is not None and after < getattr(self, limit) * before:
                lines.append(
                    f"{name} fell to {after:.3g}, {after / before:.0%} of the first iteration's {before:.3g} "
                    f"(iterate.{limit}={getattr(self, limit):g})"
                )
        return lines


def figures(
    iteration: int, questions: Artifact, pairs: Artifact, trained_on: int, labels: Mapping[str, Any] | None
) -> Figures:
    """What is known of a pass before it trains. A source that asks nothing itself has no diversity of its own."""
    info = questions.info
    decided = sum(info.get(verdict, 0) for verdict in ("accepted", "rewritten", "dropped", "invalid"))
    return Figures(
        iteration,
        pairs.records,
        trained_on,
        diversity=info.get("before/vendi"),
        largest_cluster=info.get("before/largest_cluster"),
        valid=round(1 - info["invalid"] / decided, 4) if decided else None,
        agreement=pairs.info.get("mean_agreement"),
        label_accuracy=None if labels is None else labels["label_accuracy"],
    )
