"""All settings of a run, typed and checked; nothing is loaded.

In: the composed configuration, plain and nested. Out: an `Experiment`, or a `Job`: an Experiment with tracking and
preflight. A ConfigError names the key that is wrong. `pipeline` runs the experiment.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from crescent.config.typed import ConfigError, build, build_target, convert
from crescent.contamination.stage import Contamination, Decontaminate
from crescent.core.errors import UserError
from crescent.core.number_format import AUTO
from crescent.core.records import text_id
from crescent.core.seed import check_seed
from crescent.dedup import Dedup
from crescent.dedup.stage import Diversify
from crescent.domain import Domain
from crescent.elicitation.openings import Opening
from crescent.elicitation.stage import Elicit
from crescent.engines import Sampling
from crescent.engines.choice import EngineSettings
from crescent.engines.device import best_device
from crescent.engines.scoring import scoring_engine
from crescent.engines.system_turns import check_system_prompt
from crescent.engines.transformers import TransformersSettings
from crescent.engines.weights import Weights, check
from crescent.evaluation.harness import check as check_evaluation
from crescent.evaluation.room import check_room
from crescent.evaluation.settings import MODELS, EvaluationSettings
from crescent.evaluation.stage import Evaluate
from crescent.iteration import Iterate
from crescent.observers.tracking import Tracking
from crescent.prompting.baselines import Prompting
from crescent.runtime.local import LocalRuntime, Runtime
from crescent.selection import Agreement, AllPairs, Selection
from crescent.selection.stage import SelectPairs
from crescent.similarity import EmbedderSettings
from crescent.sources.context import Source
from crescent.sources.self_generated import SelfGenerated
from crescent.training.objective import SFT, Objective
from crescent.training.retention import NONE, Retention
from crescent.training.room import check_length
from crescent.training.settings import TrainSettings
from crescent.training.stage import Finetune
from crescent.training.subset_stage import Accumulate, Gather
from crescent.verification import NoVerification, SelfVerification, Verification
from crescent.verification.stage import Verify
from crescent.voting.answer_stage import Answer
from crescent.voting.calibration import Oracle
from crescent.voting.contrast_stage import Contrast
from crescent.voting.rules import Rule
from crescent.voting.stage import Vote

log = logging.getLogger(__name__)
COMMAND_KEYS = ("tracking", "check", "seed_data")
"""Nodes of the configuration that are not settings of a run: how it is observed, and nodes that others refer to."""


@dataclass(frozen=True, slots=True)
class Answering:
    """The `answer` node: how answers are sampled."""

    temperature: float
    top_p: float
    top_k: int
    min_p: float
    repetition_penalty: float
    max_new_tokens: int


@dataclass(frozen=True, slots=True)
class Elicitation(Answering):
    """The `elicit` node: how, and for how many rounds, questions are sampled from the teacher."""

    name: str
    opening: Opening
    samples_per_round: int
    max_rounds: int


@dataclass(frozen=True, slots=True)
class Distillation:
    """The `distill` node: which model is fine-tuned."""

    name: str
    student: Weights


@dataclass(frozen=True, slots=True)
class Experiment:
    """All settings of a run. Cheap to build: nothing is loaded until `run`."""

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
    source: Source = field(default_factory=SelfGenerated)
    iterate: Iterate = field(default_factory=Iterate)
    runtime: Runtime = field(default_factory=LocalRuntime)
    verify: Verification = field(default_factory=NoVerification)
    select: Selection = field(default_factory=AllPairs)
    objective: Objective = SFT
    retain: Retention = NONE

    def __post_init__(self) -> None:
        if self.iterations < 1:
            raise ConfigError(f"iterations is {self.iterations}; it must be at least 1")
        check_seed("seed", self.seed)
        if self.iterations > 1:
            self.engine.check_student(getattr(self.train.method, "rank", 0))  # full fine-tuning has no rank
        if (reason := self.scoring.why_not(self.eval.sampling)) is not None:
            raise ConfigError(f"eval.{reason}")
        if isinstance(self.select, Agreement) and self.source.elicits:  # other sources do not vote by this rule
            self.select.check(self.vote)
        self._check_objective()
        if self.prompting.baselines and "base" not in self.roles:
            raise ConfigError(
                f"prompting={self.prompting.name} asks the base model, which eval.models={list(self.eval.models)} "
                "leaves out: add base to it, or choose prompting=none"
            )
        if self.iterations > 1 and not self.is_self_improvement:
            raise ConfigError(
                "iterations above 1 need distill=self: only a student that is also the teacher asks the next questions"
            )

    def _check_objective(self) -> None:
        """Raises ConfigError if no draw can lose that the objective could learn from."""
        if not self.objective.contrasts:
            return
        learns = f"objective={self.objective.name} learns from draws that lost"
        judged_by = getattr(self.source, "judged_by", "vote")
        if judged_by is None:
            raise ConfigError(
                f"{learns}, and source={self.source.name} has none: choose objective=sft, or source=crescent"
            )
        if judged_by == "vote" and self.vote.draws < 2:
            raise ConfigError(
                f"{learns}, and vote={self.vote.name} makes one draw of each question: choose vote=majority with "
                "vote.draws above 1, or objective=sft"
            )
        if judged_by == "vote" and getattr(self.vote, "min_agreement", 0) >= 1:
            raise ConfigError(f"{learns}, and vote.min_agreement=1 keeps only votes without one: lower it")
        if isinstance(self.select, Agreement) and self.select.min >= 1:
            raise ConfigError(f"{learns}, and select.min=1 keeps only votes without one: lower it")

    @classmethod
    def from_node(cls, node: Mapping[str, Any]) -> "Experiment":
        """An experiment from the composed configuration, checked. Raises ConfigError; loads no model."""
        _check_root_seed(node)
        experiment = build(cls, {key: value for key, value in node.items() if key not in COMMAND_KEYS}, "")
        experiment.stages()
        return experiment

    @property
    def is_self_improvement(self) -> bool:
        """True if the student is the teacher."""
        return self.distill.student == self.model

    @property
    def roles(self) -> tuple[str, ...]:
        """The models to score, in order: teacher, base, student. In self-improvement the teacher is the base."""
        models = set(self.eval.models)
        if self.is_self_improvement and "teacher" in models:
            models = models - {"teacher"} | {"base"}
        return tuple(role for role in MODELS if role in models)

    @property
    def models_here(self) -> tuple[Weights, ...]:
        """The models whose weights are read on this machine: not a teacher that only a server has."""
        scored = bool(self.eval.tasks) and "teacher" in self.roles and self.scoring.loads_weights
        teacher = self.engine.loads_weights or scored
        return tuple(dict.fromkeys((self.model, self.distill.student) if teacher else (self.distill.student,)))

    @property
    def scoring(self) -> EngineSettings:
        """The engine that writes answers to benchmark items: `eval.engine`, resolved. Raises ConfigError if it cannot
        load what is scored."""
        scored = {role for role in self.roles if self.eval.tasks}
        if self.is_self_improvement and "base" in scored:
            scored = scored - {"base"} | {"teacher"}
        try:
            return scoring_engine(self.eval.engine, self.engine, getattr(self.train.method, "rank", 0), scored)
        except UserError as error:
            raise ConfigError(str(error)) from None

    @property
    def device(self) -> str:
        """The device of this process's models: with engine=transformers for everything."""
        here = self.engine.in_process
        return here.where if isinstance(here, TransformersSettings) else best_device()

    @property
    def training(self) -> TrainSettings:
        """How to train: with what is minimised and what is retained. Raises UserError if they do not fit."""
        return replace(self.train, objective=self.objective, retain=self.retain)

    def resolved(self) -> "Experiment":
        """A copy with the models' number formats decided for this machine: the only place where they are decided."""
        if AUTO not in (self.model.dtype, self.distill.student.dtype):
            return self
        device = self.device
        distill = replace(self.distill, student=self.distill.student.on(device))
        return replace(self, model=self.model.on(device), distill=distill)

    def check(self) -> None:
        """Checks what can be known before a model loads: weights, templates, benchmark files.

        Raises ConfigError with a suggested fix.
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
        """Checks chat template and tokenizer of each model that is on this machine. Raises ValueError with a suggested
        fix.
        """
        self.engine.check(self.model)
        self.elicit.opening.check(self.model, self.engine.loads_weights)
        check(self.distill.student)
        check_length(self.training, self.distill.student)
        self.check_scored()

    def check_scored(self) -> None:
        """Checks the models that are scored for what the suite asks of them. Raises ValueError with a suggested fix."""
        for weights in (*([self.model] if "teacher" in self.roles else []), self.distill.student):
            if (
                self.eval.tasks
                and self.scoring != self.engine
                and (self.scoring.loads_weights or weights == self.model)
            ):
                self.scoring.check(weights)
            check_room(self.eval, weights)
            if self.eval.tasks and self.eval.chat_template and self.eval.system_prompt is not None:
                check_system_prompt(weights, self.eval.system_prompt)

    def stages(self, iteration: int = 1) -> "Stages":
        """The stages with their settings. Each iteration gets a seed of its own: with the previous one's, a student
        that has changed little would ask nearly the same questions again.
        """
        seed = self.seed if iteration == 1 else int(text_id(str(self.seed), str(iteration))[:7], 16)
        try:
            asking = self._sampling(self.elicit, seed, "elicit", self.domain.ask_stop)
            return Stages(
                self._elicit(asking),
                Diversify(
                    self.dedup, self.domain.modify, asking, self.num_questions,
                    self.elicit.max_rounds, self.domain.min_chars, self.domain.max_chars,
                ),
                Verify(self.verify, self._judging(seed)),
                Decontaminate(self.contamination, self.eval),
                Answer(self.domain.solve, self._sampling(self.answer, seed, "answer", self.domain.solve_stop)),
                Vote(self.vote, self.domain.answer, self.domain.equality),
                Contrast(self.objective.contrasts),
                SelectPairs(self.select),
                Gather(self.source.num_pairs),
                Accumulate(),
                Finetune(self.training),
                Evaluate(self.eval),
            )  # fmt: skip
        except ConfigError:
            raise
        except ValueError as error:
            raise ConfigError(str(error)) from None

    def _elicit(self, asking: Sampling) -> Elicit:
        """The bait matters, and so is in keys, only where the opening reads it."""
        opening, count = self.elicit.opening, self.elicit.samples_per_round
        return Elicit(self.domain.bait if opening.reads_bait else "", asking, count, opening, self.model)

    def _judging(self, seed: int) -> Sampling:
        """How the teacher judges its questions."""
        if isinstance(self.verify, SelfVerification):
            return self._sampling(self.verify, seed, "verify", ())
        return Sampling(seed=seed)

    def _sampling(self, node: Answering | SelfVerification, seed: int, key: str, stop: tuple[str, ...]) -> Sampling:
        """How the teacher generates; a teacher that thinks gets extra tokens for its thoughts."""
        try:
            limit = node.max_new_tokens + (self.model.thinking_tokens if node.max_new_tokens > 0 else 0)
            made = Sampling(node.temperature, node.top_p, limit, stop, seed)
            if isinstance(node, Answering):
                made = replace(made, top_k=node.top_k, min_p=node.min_p, repetition_penalty=node.repetition_penalty)
        except ValueError as error:
            raise ConfigError(f"{key}.{error}") from None
        if (reason := self.engine.why_not(made)) is not None:
            raise ConfigError(f"{key}.{reason}")
        return made


@dataclass(frozen=True, slots=True)
class Stages:
    """The stages, in order."""

    elicit: Elicit
    diversify: Diversify
    verify: Verify
    decontaminate: Decontaminate
    answer: Answer
    vote: Vote
    contrast: Contrast
    select: SelectPairs
    gather: Gather
    accumulate: Accumulate
    finetune: Finetune
    evaluate: Evaluate

    @property
    def of_source(self) -> tuple[Elicit, Diversify, Answer, Vote, Contrast]:
        """The stages that make pairs: see `crescent.sources`."""
        return self.elicit, self.diversify, self.answer, self.vote, self.contrast


Check = bool | Literal["auto"]


@dataclass(frozen=True, slots=True)
class Job:
    """`check`: True only reports what the run will cost, "auto" does so before long runs."""

    experiment: Experiment
    tracking: Tracking
    check: Check

    @classmethod
    def from_node(cls, node: Mapping[str, Any]) -> "Job":
        """The job of a configuration. Raises ConfigError if it is invalid."""
        tracking = build_target(_group(node, "tracking"), "tracking", Tracking)
        check = convert(Check, node.get("check"), "check")
        return cls(Experiment.from_node(node), tracking, check)


def _check_root_seed(node: Mapping[str, Any]) -> None:
    """The seeds of other nodes refer to `seed`, so check it first: the error then names the key that was set."""
    if "seed" not in node:
        return
    try:
        check_seed("seed", convert(int, node["seed"], "seed"))
    except ValueError as error:
        raise ConfigError(str(error)) from None


def _group(node: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    if not isinstance(node.get(name), Mapping):
        raise ConfigError(f"{name} is {node.get(name)!r}; it must be one of its choices, as in {name}=none")
    return node[name]
