"""What a stage works with, for tests of single stages, and subscribers that keep or pass on what they are told."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from crescent.core.console import Console
from crescent.core.context import Embed, EngineHandle, StageContext, StageOutput
from crescent.core.events import Events, Scored, StageReport
from crescent.core.store import Store
from crescent.engines import LazyEngine


def stage_context(
    store: Store,
    engine: EngineHandle | None = None,
    embed: Embed | None = None,
    *,
    console: Console | None = None,
    events: Events | None = None,
    iteration: int = 1,
) -> StageContext:
    """A context that prints nothing by default. A stage fails that uses an engine or an embedder it was not given."""
    engine = engine or unloadable()
    embed = embed or _no_embedder
    return StageContext(store, engine, embed, "minilm", console or Console(quiet=True), events or Events(), iteration)


def unloadable(identity: str = "none") -> LazyEngine:
    """An engine that must not be asked for anything."""

    def build() -> Any:
        raise AssertionError("the model was loaded")

    return LazyEngine(identity, build)


def closable(engine: Any) -> LazyEngine:
    """A handle on the model of an engine that other tests use too: what closes it leaves that one open."""
    return LazyEngine("w", lambda: type(engine)(engine.model, engine.tokenizer, "w"))


def _no_embedder(texts: Sequence[str]) -> Any:
    raise AssertionError("the embedder was used")


class Recorder(Events):
    """Keeps what is told of stages and of scored models, in its order."""

    def __init__(self) -> None:
        self.reports: list[StageReport] = []
        self.scored_models: list[Scored] = []

    def stage_finished(self, report: StageReport, made: StageOutput, inputs: Sequence[StageOutput]) -> None:
        self.reports.append(report)

    def scored(self, scored: Scored) -> None:
        self.scored_models.append(scored)

    def report(self, stage: str) -> StageReport:
        """The newest report on a stage."""
        return [report for report in self.reports if report.stage == stage][-1]


class Steps(Events):
    """Passes each training step on to a function."""

    def __init__(self, told: Callable[[Mapping[str, float], int], None]) -> None:
        self._told = told

    def training_step(self, metrics: Mapping[str, float], step: int, iteration: int) -> None:
        self._told(metrics, step)
