"""Predicts each run's cache keys so that a sweep can report shared work before it starts.

In: an `Experiment`. Out: its `WorkItem`s, from running `pipeline.run` with a `Planner` that only records each stage's
key. The keys are the store's, except that weights are identified by their configuration: no model file is read or
downloaded. Runs that will reuse each other's work have items with equal keys.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from crescent.core.context import EngineHandle, ModelKeys, Stage
from crescent.core.stages import in_order, stage_info
from crescent.core.store import canonical, make_key
from crescent.engines.choice import EngineSettings
from crescent.engines.weights import Weights
from crescent.experiment import Experiment
from crescent.pipeline import engine_key, run
from crescent.selection.stage import SelectPairs
from crescent.training.stage import Learner

AMOUNTS = ("draws", "num_questions", "max_rounds")
"""Settings for the amount of work. The cost of one unit depends neither on them nor on a seed."""


@dataclass(frozen=True, slots=True)
class WorkItem:
    """`stage` is its name in summary.json, `key` its cache key, `role` the model that is scored. Its time grows with
    `units`; the time per unit depends on `like`, and a little less exactly on `roughly`.
    """

    stage: str
    key: str
    units: float
    like: str
    roughly: str
    role: str = ""


def work_items(experiment: Experiment) -> list[WorkItem]:
    """All the work of a run, if no collapse ends it early. The n-th item of a stage is the n-th that the run
    reports.
    """
    planner = Planner(experiment.resolved())
    run(planner.experiment, planner)
    return planner.items


def shared(jobs: Sequence[Sequence[WorkItem]]) -> str:
    """What the jobs have in common, in one line: 20 jobs have 5 streams of questions, 10 pools, ..."""
    everything = [item for job in jobs for item in job]
    parts = []
    for stage in in_order([item.stage for item in everything]):
        names = stage_info(stage).shared
        count = len({item.key.partition("/")[0] for item in everything if item.stage == stage})
        if names and count:
            parts.append(f"{count} {names[count != 1]}")
    scored = [(role, len({item.key for item in everything if item.role == role})) for role in ("teacher", "base")]
    times = [f"the {role} is scored {'once' if count == 1 else f'{count} times'}" for role, count in scored if count]
    have = "1 job has" if len(jobs) == 1 else f"{len(jobs)} jobs have"
    return "; ".join([f"{have} {', '.join(parts)}", *times])


@dataclass(frozen=True, slots=True)
class _Planned:
    """Stands for an artifact; `records` is the maximum number it will hold."""

    key: str
    records: int
    path: Path
    info: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class _PlannedEngine:
    """Stands for an engine that is never loaded; its speed depends on `like`."""

    identity: str
    name: str
    like: Any
    preferred_batch: int = 0
    likelihoods: "_PlannedEngine | None" = None

    @property
    def choices(self) -> "_PlannedEngine":
        return self.likelihoods or self

    def get(self) -> Any:
        raise NotImplementedError("a plan loads no model")

    def close(self) -> None:
        """A no-op: nothing is loaded."""


class Planner:
    """An executor of `pipeline.run` that runs nothing and records work items."""

    def __init__(self, experiment: Experiment) -> None:
        self.experiment = experiment
        self.items: list[WorkItem] = []
        self._embedder = make_key("embedder", 2, experiment.embedder)
        self._student = self._identity(experiment.distill.student)
        self._roughly = _like(experiment.engine, self._identity(experiment.model), self._student)

    def start(self, iteration: int) -> None:
        """A no-op: the planner reports nothing."""

    def do(self, stage: Stage, *inputs: Any, engine: EngineHandle | None = None, **options: Any) -> Any:
        """Records an item and returns a placeholder for its artifact."""
        choices = engine.choices.identity if engine else None
        models = ModelKeys(engine.identity if engine else "", self._embedder, choices)
        key = stage.key(models, *(one.key for one in inputs))
        if key is None:
            return inputs[0] if inputs else None
        # the draws of a question are identified by ledger and questions together: "ledger/questions"
        apart = [one.key for one in inputs if not any(one.key in part for part in key.inputs)]
        records, until = self._records(stage, inputs), options.get("until")
        units = 1 if stage.NAME == "evaluate" else records * (until.draws if until is not None else 1)
        speed = engine.like if isinstance(engine, _PlannedEngine) else self._student
        item = WorkItem(
            stage.NAME, "/".join([key.digest, *apart]), units, _like(key.settings, speed, until), self._roughly,
            getattr(stage, "model", ""),
        )  # fmt: skip
        self.items.append(item)
        return _Planned(key.digest, records, Path(key.digest))

    def engine(self, weights: Weights) -> _PlannedEngine:
        """A placeholder for the engine that generates."""
        return self._engine(self.experiment.engine, weights, self.experiment.model)

    def scorer(self, weights: Weights) -> _PlannedEngine:
        """A placeholder for the engine that scores."""
        size = self.experiment.model if weights == self.experiment.model else self.experiment.distill.student
        scorer = self._engine(self.experiment.scoring, weights, size)
        here = self._engine(self.experiment.engine.in_process, weights, size)
        return scorer if here.identity == scorer.identity else replace(scorer, likelihoods=here)

    def learner(self, weights: Weights) -> Learner:
        """Weights to train."""
        return Learner(weights, self._identity(weights))

    def unload(self, engine: EngineHandle) -> None:
        """A no-op: nothing is loaded."""

    def collapses(self, questions: Any, training: Any) -> bool:
        """False: no figures are known."""
        return False

    def scores_collapse(self) -> bool:
        """False: no scores are known."""
        return False

    def _engine(self, settings: EngineSettings, weights: Weights, size: Weights) -> _PlannedEngine:
        """The engine of `weights`, assumed to be as fast as that of `size`, which they were trained from."""
        key = engine_key(settings, self._identity(weights))
        return _PlannedEngine(key, weights.name, [canonical(settings), self._identity(size)])

    def _records(self, stage: Stage, inputs: Sequence[Any]) -> int:
        """The maximum number of records that a stage makes; for seed data it is unknown until the file is read."""
        if not inputs:
            wanted = (
                self.experiment.num_questions if self.experiment.source.elicits else self.experiment.source.num_pairs
            )
            return getattr(stage, "max_seeds", None) or getattr(stage, "expected", None) or wanted or 1
        made = sum(one.records for one in inputs) if stage.NAME == "gather" else max(one.records for one in inputs)
        if isinstance(stage, SelectPairs):
            return stage.most(made)
        return min(made, getattr(stage, "num_pairs", None) or made)

    def _identity(self, weights: Weights) -> str:
        """Stands for the hash of the weights' files. Includes the store: runs with different stores share nothing."""
        about = {**asdict(replace(weights, name="", thinking_tokens=0)), "adapter": str(weights.adapter)}
        return make_key("weights", 1, about, [str(Path(self.experiment.store).absolute())])


def _like(*settings: Any) -> str:
    return make_key("like", 1, [_without(canonical(one)) for one in settings])


def _without(value: Any) -> Any:
    """A setting without its seeds and amounts."""
    if isinstance(value, dict):
        return {name: _without(one) for name, one in value.items() if name != "seed" and name not in AMOUNTS}
    return [_without(one) for one in value] if isinstance(value, list) else value
