"""Events of a run, for everything that reports it: the terminal, summary.json, W&B, the collapse monitor.

The run and its stages call the event methods; every subscriber is called in order. An event changes no result. A
subscriber overrides the methods it needs. Artifacts are passed whole; for more than their counts, read their files.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from crescent.core.stages import stage_info
from crescent.core.store import Artifact

if TYPE_CHECKING:
    from crescent.core.context import StageOutput
    from crescent.core.records import Score


@dataclass(slots=True)
class StageReport:
    """Report of one stage in one iteration.

    `tokens` is the cost of its records in generated tokens (in training: target tokens), whichever run made them;
    `new_tokens` is what this run paid. `reused_records` were found in the store. `seconds` is this run's wall time.
    """

    stage: str
    iteration: int
    key: str = ""
    records: int = 0
    reused_records: int = 0
    tokens: int = 0
    new_tokens: int = 0
    seconds: float = 0.0
    info: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Scored:
    """Scores of one model (teacher, base or student) on a suite; `prompting` is a baseline's name, or "none"."""

    model: str
    iteration: int
    prompting: str
    artifacts: "Sequence[Artifact]"
    scores: "Sequence[Score]"
    key: str

    @property
    def records(self) -> int:
        return sum(artifact.info["items"] for artifact in self.artifacts)

    @property
    def reused_records(self) -> int:
        return sum(artifact.info["items"] for artifact in self.artifacts if artifact.reused)

    @property
    def info(self) -> Mapping[str, Any]:
        """Empty: the counters are in the artifacts."""
        return {}


class Events:
    """The event interface, with no-op methods. Every method may be called at any time."""

    def iteration_started(self, iteration: int, iterations: int) -> None:
        """An iteration begins."""

    def stage_started(self, stage: str, title: str, inputs: "Sequence[StageOutput]", iteration: int) -> None:
        """A stage begins. `title` is its heading; empty continues under the previous heading."""

    def stage_finished(self, report: StageReport, made: "StageOutput", inputs: "Sequence[StageOutput]") -> None:
        """A stage ended without an error."""

    def training_step(self, metrics: Mapping[str, float], step: int, iteration: int) -> None:
        """An optimiser step; also sent for each step of a reused training."""

    def scored(self, scored: Scored) -> None:
        """A model has been scored."""

    def labels_measured(self, labels: Any, iteration: int) -> None:
        """Accuracy of the labels, where an oracle knows the truth (`crescent.voting.calibration.Labels`)."""

    def iteration_measured(self, figures: Mapping[str, Any]) -> None:
        """The figures of an iteration: sent once before it is trained and again after it is scored."""


class Subscribers(Events):
    """Passes each event on to several subscribers, in order."""

    def __init__(self, subscribers: Sequence[Events]) -> None:
        self._all = tuple(subscribers)


def _passed_on(name: str) -> Callable[..., None]:
    def event(self: Subscribers, *about: Any) -> None:
        for one in self._all:
            getattr(one, name)(*about)

    return event


for _name in [name for name in vars(Events) if not name.startswith("_")]:
    setattr(Subscribers, _name, _passed_on(_name))


def counts_of(report: StageReport) -> str:
    """A stage's counts in one line: 12 pairs, long 3, short 1 (from the store)."""
    numbers = [(name, value) for name, value in report.info.items() if isinstance(value, int | float)]
    unit = stage_info(report.stage).unit
    counts = f"{report.records:,} {unit.removesuffix('s') if report.records == 1 else unit}"
    parts = [counts, *(f"{name} {value:,}" for name, value in numbers)]
    reused = report.records and report.reused_records == report.records
    return ", ".join(parts) + (" (from the store)" if reused else "")
