"""Several iterations of self-improvement: what each takes over from earlier ones, and a collapse monitor.

In: the `iterate` node, figures of each iteration. Out: which weights are trained, on which pairs, which questions new
ones are compared with, and a line for each figure that has fallen too far. Touches no model and no file.

Models that learn from themselves can lose variety and quality from iteration to iteration: Shumailov et al. (Nature
631, 2024) for text; R-Zero (arXiv 2508.05004) for pseudo-labels, whose accuracy falls with the iterations.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, TypeVar

from crescent.core.context import StageOutput
from crescent.core.errors import UserError
from crescent.core.events import Events, Scored, StageReport
from crescent.core.store import Artifact

T = TypeVar("T")
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of one iteration; None if unknown. Shares are in 0..1.

    `diversity` is the effective number of distinct questions (Vendi) among those the model asked, before any were
    rejected; `valid` the share of its texts that are questions; `agreement` the mean over the pairs that were kept;
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
    """The `iterate` node. Limits are shares of the first iteration's figures; lower values are signs of collapse."""

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
                raise UserError(
                    f"iterate.{limit} is {getattr(self, limit)}; it is a share of the first iteration's, from 0 to 1 "
                    "(0 switches it off)"
                )

    @property
    def limits(self) -> tuple[str, ...]:
        """The names of the limits: min_ and the name of a figure."""
        return tuple(one.name for one in fields(self) if one.name.startswith("min_"))

    def learner(self, base: T, last: T) -> T:
        """The weights to train next: `base` starts over, `last` continues from the previous iteration's weights."""
        return {"base": base, "last": last}[self.start]

    def training_data(self, made: Sequence[T]) -> Sequence[T]:
        """The pairs to train on: the newest iteration's, or all."""
        return {"replace": made[-1:], "accumulate": made}[self.data]

    def not_again(self, asked: Sequence[T]) -> tuple[T, ...]:
        """The questions of earlier iterations that new ones are compared with: none, or all."""
        return {"fresh": (), "keep": tuple(asked)}[self.pool]

    def falls(self, first: Figures, now: Figures) -> list[str]:
        """A line for each figure below its limit: "diversity fell to 12.1, 40% of the first iteration's 30.2 (...)"."""
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
    iteration: int, diversified: Artifact | None, voted: Artifact, trained_on: int, labels: Mapping[str, Any] | None
) -> Figures:
    """The figures known before an iteration trains. A source that elicits no questions has no diversity."""
    info = diversified.info if diversified else {}
    decided = sum(info.get(verdict, 0) for verdict in ("accepted", "rewritten", "dropped", "invalid"))
    return Figures(
        iteration,
        voted.records,
        trained_on,
        diversity=info.get("before/vendi"),
        largest_cluster=info.get("before/largest_cluster"),
        valid=round(1 - info["invalid"] / decided, 4) if decided else None,
        agreement=voted.info.get("mean_agreement"),
        label_accuracy=None if labels is None else labels["label_accuracy"],
    )


class Monitor(Events):
    """Watches the figures of a run for signs of collapse. Each sign is logged once. `made` maps the stages of this
    iteration to their artifacts; `events` receives every measurement.
    """

    def __init__(self, iterate: Iterate) -> None:
        self._iterate = iterate
        self._first: Figures | None = None
        self._now: Figures | None = None
        self._values: list[float] = []
        self._logged: set[str] = set()
        self.made: dict[str, Artifact] = {}
        self.events = Events()

    def iteration_started(self, iteration: int, iterations: int) -> None:
        """Forgets the artifacts of the previous iteration."""
        self.made = {}

    def stage_finished(self, report: StageReport, made: StageOutput, inputs: Sequence[StageOutput]) -> None:
        """Keeps the artifact of each stage in this iteration."""
        if isinstance(made, Artifact):
            self.made[report.stage] = made

    def measured(self, found: Figures) -> bool:
        """Takes the figures of an iteration. True if they should end the run."""
        if self._now is None or self._now.iteration != found.iteration:
            self._logged, self._values = set(), []
        self._now = found
        if self._first is None or self._first.iteration == found.iteration:
            self._first = found
        falls = self._iterate.falls(self._first, found)
        for line in falls:
            if line not in self._logged:
                log.warning("iteration %d may be collapsing: %s", found.iteration, line)
        self._logged.update(falls)
        self.events.iteration_measured({**asdict(found), "collapse": falls})
        return bool(falls) and self._iterate.on_collapse == "stop"

    def scored(self, scored: Scored) -> None:
        """Collects the student's primary scores, of whole tasks."""
        if scored.model == "student":
            self._values += [score.value for score in scored.scores if score.primary and "/" not in score.task]

    def measured_scores(self) -> bool:
        """Takes the mean of the scores since the last figures. True if it should end the run."""
        assert self._now is not None, "an iteration is measured before it is scored"
        mean = round(sum(self._values) / len(self._values), 4) if self._values else None
        return self.measured(replace(self._now, score=mean))
