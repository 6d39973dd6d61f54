"""What runs will do, before they do it: their pieces of work, told apart by what decides them.

In: an `Experiment`. Out: its `Piece`s, in the order of `experiment.run`, with keys made of the stage settings that the
store's keys are made of. So runs that will find each other's work in the store have pieces of equal keys. Nothing is
opened: weights count as what they are configured to be (no file is read, no model fetched), and the questions of the
benchmarks as their names.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from crescent.contamination.stage import Off
from crescent.core.store import canonical, make_key
from crescent.engines.ledger import Ledger
from crescent.engines.weights import Weights
from crescent.experiment import Experiment
from crescent.pipeline import engine_key, to_score
from crescent.sources.rewrite_stage import Rewrite
from crescent.sources.seeds_stage import Seeds

AMOUNTS = ("draws", "num_questions", "max_rounds")
"""Settings that say how much of a thing is done; what one of it costs does not depend on them, nor on a seed."""
NAMES = {
    "elicit": "stream of questions|streams of questions",
    "diversify": "pool|pools",
    "rewrite": "set of rewritten questions|sets of rewritten questions",
    "answer": "ledger of draws|ledgers of draws",
    "finetune": "training|trainings",
}


@dataclass(frozen=True, slots=True)
class Piece:
    """`stage` is the name it is reported under in summary.json, `key` what decides it, `role` who is scored. Its time
    grows with `units`; what a unit takes depends on `like`, and a little less exactly on `roughly`."""

    stage: str
    key: str
    units: float
    like: str
    roughly: str
    role: str = ""


def pieces(experiment: Experiment) -> list[Piece]:
    """All that a run does, if no collapse ends it early. The n-th piece of a stage is the n-th that it reports."""
    return list(_Walk(experiment).pieces())


def shared(jobs: Sequence[Sequence[Piece]]) -> str:
    """What the jobs have in common, in a line: 20 jobs have 5 streams of questions, 10 pools, ..."""
    everything = [piece for job in jobs for piece in job]
    counts = {
        stage: len({piece.key.partition("/")[0] for piece in everything if piece.stage == stage}) for stage in NAMES
    }
    parts = [_count(count, NAMES[stage]) for stage, count in counts.items() if count]
    scored = [(role, len({piece.key for piece in everything if piece.role == role})) for role in ("teacher", "base")]
    times = [f"the {role} is scored {'once' if count == 1 else f'{count} times'}" for role, count in scored if count]
    return "; ".join([f"{_count(len(jobs), 'job has|jobs have')} {', '.join(parts)}", *times])


def _count(count: int, names: str) -> str:
    one, many = names.split("|")
    return f"{count} {one if count == 1 else many}"


class _Walk:
    """`experiment.run` with keys in place of artifacts."""

    def __init__(self, experiment: Experiment) -> None:
        experiment = experiment.resolved()
        self._experiment, self._stages = experiment, experiment.stages()
        student = experiment.distill.student
        self._roughly = _like(experiment.engine, self._identity(experiment.model), self._identity(student))

    def pieces(self) -> Iterator[Piece]:
        experiment, stages = self._experiment, self._stages
        teacher, student, iterate = experiment.model, experiment.distill.student, experiment.iterate
        learner, asked, made = student, [], []
        wanted = experiment.source.num_pairs or experiment.num_questions
        for iteration in range(1, experiment.iterations + 1):
            engine = engine_key(experiment.engine, self._identity(teacher))
            steps = {piece.stage: piece for piece in self._pairs(engine, iterate.not_again(asked))}
            yield from steps.values()
            asked += [steps["diversify"].key] if "diversify" in steps else []
            made.append(steps["vote"].key)
            taken = iterate.training_data(made)
            inputs = [self._identity(learner), str(experiment.source.num_pairs), *taken]
            training = make_key("finetune", stages.finetune.VERSION, stages.finetune, inputs)
            yield self._piece("finetune", training, wanted * len(taken), stages.finetune, self._identity(student))
            trained = experiment.train.method.trained(learner, Path(training), training)
            yield from self._scorings(trained, first=iteration == 1)
            teacher, learner = trained, iterate.learner(student, trained)

    def _pairs(self, engine: str, earlier: Sequence[str]) -> Iterator[Piece]:
        """The steps of the source, and the check between them."""
        experiment, stages = self._experiment, self._stages
        asking = (experiment.engine, self._identity(experiment.model))
        embedder = make_key("embedder", 2, experiment.embedder)
        amount, steps = experiment.num_questions, experiment.source.steps
        questions = ""
        if "elicit" in steps:
            stream = make_key("elicit", stages.elicit.VERSION, stages.elicit, [engine])
            yield self._piece("elicit", stream, amount, *asking, stages.elicit, experiment.dedup)
            inputs = [stream, embedder, *earlier]
            questions = make_key("diversify", stages.diversify.VERSION, stages.diversify, inputs)
            yield self._piece("diversify", questions, amount, *asking, stages.diversify)
        seeded = {} if experiment.source.elicits else {"source": experiment.source, "domain": experiment.domain}
        if "seeds" in steps:
            questions = make_key("seeds", Seeds.VERSION, seeded)
            yield self._piece("seeds", questions, 1, seeded)
        if "rewrite" in steps:
            questions = make_key("rewrite", Rewrite.VERSION, [seeded, stages.answer], [questions, engine])
            yield self._piece("rewrite", questions, 1, *asking, stages.answer, seeded)
        checked = self._checked(questions, embedder)
        yield self._piece("decontaminate", checked, amount, stages.decontaminate)
        kept = checked if stages.decontaminate.settings.drops else questions
        ledger = make_key("ledger", Ledger.VERSION, stages.answer, [engine])
        if "answer" in steps:  # what is drawn is decided by the ledger and the questions: "ledger/questions"
            draws = 1 if seeded else amount * experiment.vote.draws
            yield self._piece("answer", f"{ledger}/{kept}", draws, *asking, stages.answer, stages.vote, seeded)
        rule = stages.vote if "vote" in steps else None  # `select` knows the answers
        pairs = make_key("vote", stages.vote.VERSION, [rule, seeded], [kept, *([ledger] if "answer" in steps else [])])
        yield self._piece("vote", pairs, amount, rule, seeded)

    def _checked(self, questions: str, embedder: str) -> str:
        """The questions after the contamination check: themselves where there is nothing to compare them with."""
        stage = self._stages.decontaminate
        if isinstance(stage.settings, Off) or not stage.evaluation.tasks:
            return questions
        items = {"check": stage.settings, "limit": stage.evaluation.limit, "tasks": stage.evaluation.tasks}
        return make_key("decontaminate", stage.VERSION, items, [questions, embedder])

    def _scorings(self, trained: Weights, first: bool) -> Iterator[Piece]:
        experiment, stage = self._experiment, self._stages.evaluate
        for role, weights, prompting in to_score(experiment, trained, first):
            how = {"stage": stage, "prompting": prompting}
            engine = engine_key(experiment.engine.scoring, self._identity(weights))
            size = experiment.model if role == "teacher" else experiment.distill.student
            like = (experiment.engine.scoring, self._identity(size), how)
            yield self._piece("evaluate", make_key("evaluate", stage.VERSION, how, [engine]), 1, *like, role=role)

    def _piece(self, stage: str, key: str, units: float, *like: Any, role: str = "") -> Piece:
        return Piece(stage, key, units, _like(*like), self._roughly, role)

    def _identity(self, weights: Weights) -> str:
        """What stands for the hash of the weights' files. Runs with stores of their own share nothing."""
        about = {**asdict(replace(weights, name="")), "adapter": str(weights.adapter)}
        return make_key("weights", 1, about, [str(Path(self._experiment.store).absolute())])


def _like(*settings: Any) -> str:
    return make_key("like", 1, [_without(canonical(one)) for one in settings])


def _without(value: Any) -> Any:
    """A setting without its seeds and amounts."""
    if isinstance(value, dict):
        return {name: _without(one) for name, one in value.items() if name != "seed" and name not in AMOUNTS}
    return [_without(one) for one in value] if isinstance(value, list) else value
