"""The base class of stages, and the context they run in.

`StageContext` holds a store, an engine, an embedder, a console and event subscribers; `StageContext.run(stage,
*inputs)` runs one stage, times it and reports it. Engines and embedders are known only as protocols.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Protocol

import numpy as np

from crescent.core.console import Console
from crescent.core.events import Events, StageReport
from crescent.core.stages import stage_info
from crescent.core.store import Artifact, Key, Store

Embed = Callable[[Sequence[str]], np.ndarray]
"""Texts to float32 unit rows [n, dimension]."""


class StageOutput(Protocol):
    """What a stage returns: an artifact, a stream of raw questions, draws, or scores."""

    @property
    def key(self) -> str: ...

    @property
    def records(self) -> int: ...

    @property
    def info(self) -> Any: ...


class EngineHandle(Protocol):
    """An engine that is loaded on first use."""

    identity: str
    name: str
    preferred_batch: int

    @property
    def choices(self) -> "EngineHandle":
        """The engine that computes likelihoods of choices."""
        ...

    def get(self) -> Any: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class ModelKeys:
    """Identities of the models a stage uses, for its key. `choices` is the engine that computes likelihoods (None:
    `engine`)."""

    engine: str
    embedder: str
    choices: str | None = None


class Stage:
    """A step of the method: a frozen dataclass of settings, with `run(context, *inputs)` and the key of its result. The
    store and the sweep planner call the same `key`.

    NAME identifies the stage in keys, reports and folders. Raise VERSION when equal settings would give other results.
    TOKENS names the counter in `info` that holds its token cost. A LAZY stage produces nothing until another stage
    pulls from it; that stage reports for it. Keyword options of `run` must not change the result.
    """

    __slots__ = ()
    NAME: ClassVar[str]
    VERSION: ClassVar[int] = 1
    TOKENS: ClassVar[str | None] = None
    LAZY: ClassVar[bool] = False

    def key(self, models: ModelKeys, *inputs: str) -> Key | None:
        """The artifact's key; None if there is nothing to do, in which case the first input is passed through."""
        return Key(self.NAME, self.VERSION, self, inputs)

    def title(self, *inputs: StageOutput, **options: Any) -> str:
        """The heading above the stage's output; empty continues under the previous heading."""
        return stage_info(self.NAME).label

    def run(self, context: "StageContext", *inputs: Any, **options: Any) -> Any:
        """Builds the artifact, or opens it if it is in the store."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class StageContext:
    """What a stage works with in one iteration. `engine` is the model that generates, or the model being scored."""

    store: Store
    engine: EngineHandle
    embed: Embed
    embedder_key: str
    console: Console
    events: Events = field(default_factory=Events)
    iteration: int = 1
    _costs: dict[str, Any] = field(default_factory=dict)

    @property
    def models(self) -> ModelKeys:
        return ModelKeys(self.engine.identity, self.embedder_key, self.engine.choices.identity)

    def key(self, stage: Stage, *inputs: StageOutput) -> Key:
        """The key of the stage's result. Raises ValueError if the stage has nothing to do."""
        key = stage.key(self.models, *(made.key for made in inputs))
        if key is None:
            raise ValueError(f"{stage.NAME} has nothing to do with these inputs")
        return key

    def run(self, stage: Stage, *inputs: Any, engine: EngineHandle | None = None, **options: Any) -> Any:
        """Runs and reports one stage, with `engine` (if given) instead of the context's. A stage with nothing to do
        returns its first input, unreported.
        """
        context = replace(self, engine=engine or self.engine, _costs={})
        if stage.key(context.models, *(made.key for made in inputs)) is None:
            return inputs[0] if inputs else None
        if stage.LAZY:
            return stage.run(context, *inputs, **options)
        self.events.stage_started(stage.NAME, stage.title(*inputs, **options), inputs, self.iteration)
        start = time.monotonic()
        with self.console.working(stage_info(stage.NAME).label.lower()):
            made = stage.run(context, *inputs, **options)
        report = _report(stage, made, self.iteration, context._costs)
        report.seconds = round(max(0.0, report.seconds + time.monotonic() - start), 3)
        self.events.stage_finished(report, made, inputs)
        return made

    def costs(self, **costs: Any) -> None:
        """Sets fields of the running stage's report, such as `new_tokens`, if the artifact does not show what this run
        paid for.
        """
        self._costs.update(costs)

    def ran_within(self, report: StageReport, made: StageOutput) -> None:
        """Reports a lazy stage that the running stage pulled from; its seconds are not counted twice."""
        self._costs["seconds"] = self._costs.get("seconds", 0.0) - report.seconds
        self.events.stage_finished(report, made, ())


def _report(stage: Stage, made: StageOutput, iteration: int, costs: dict[str, Any]) -> StageReport:
    report = StageReport(stage.NAME, iteration, made.key, made.records, info=made.info)
    reused = isinstance(made, Artifact) and made.reused
    report.tokens = made.info[stage.TOKENS] if stage.TOKENS else 0
    report.new_tokens = 0 if reused else report.tokens
    report.reused_records = made.records if reused else getattr(made, "reused_records", 0)
    for name, value in costs.items():
        setattr(report, name, value)
    return report
