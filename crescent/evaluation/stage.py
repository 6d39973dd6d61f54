"""Scores a model on a suite of tasks, before or after training.

In: an engine that may not be loaded yet. Out: one artifact per (task, shots), with `TaskScore` records and a
`samples.jsonl`. A model is scored only once per task and settings, also across runs. A killed evaluation resumes with
the first (task, shots) that has no artifact, at its first unanswered item or unscored slice of choices. Compares
nothing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

from crescent.core.context import EngineHandle, ModelKeys, Stage, StageContext
from crescent.core.events import Scored
from crescent.core.records import Score, TaskScore
from crescent.core.store import Artifact, Key, Outcome
from crescent.engines.journal import Journal, JournaledEngine
from crescent.evaluation import samples
from crescent.evaluation.harness import PLAIN, plan, score_task
from crescent.evaluation.metrics import primaries
from crescent.evaluation.settings import EvaluationSettings
from crescent.evaluation.task_config import TaskSource
from crescent.prompting.baselines import Baseline, Plain

SAMPLES = "samples.jsonl"


@dataclass(frozen=True, slots=True)
class Evaluate(Stage):
    """Scores the context's engine on every task, as one `model` with one `prompting`. `thinking_tokens` is the model's
    token budget for thoughts, added to each task's limit.
    """

    NAME: ClassVar[str] = "evaluate"
    VERSION: ClassVar[int] = 3

    settings: EvaluationSettings

    prompting: Plain | Baseline = PLAIN
    model: str = "base"
    thinking_tokens: int = 0

    def key(self, models: ModelKeys, *inputs: str) -> Key | None:
        """The key of the whole suite; None for a suite without tasks. Artifacts have their own keys, one per (task,
        shots).
        """
        if not self.settings.tasks:
            return None
        thinking = {"thinking_tokens": self.thinking_tokens} if self.thinking_tokens else {}
        how = {"settings": self.settings, "prompting": self.prompting, **thinking}
        engines = dict.fromkeys((models.engine, models.choices or models.engine))
        return Key(self.NAME, self.VERSION, how, tuple(engines))

    def title(self, *inputs: object, **options: object) -> str:
        """The same heading for all models."""
        return f"5 Evaluate: eval={self.settings.name}, before and after, by lm-evaluation-harness"

    def run(self, context: StageContext) -> Scored:
        """The artifacts of all (task, shots), in order, and their scores. The engine is loaded only if an artifact is
        missing. Raises UserError if `eval.primary` names none of the metrics that a task reports.
        """
        context.console.say(self._about(context.engine.name))
        made: dict[tuple[str, int], Artifact] = {}
        planned = plan(self.settings, self.prompting)
        for some, engine in _by_engine(planned, context.engine):
            made |= {(source.name, shots): self._score(context, engine, source, shots) for source, shots in some}
        artifacts = [made[source.name, shots] for source, shots in planned]
        iteration = context.iteration if self.model == "student" else 0
        scores = self._scores(artifacts, iteration)
        scored = Scored(self.model, iteration, self.prompting.name, artifacts, scores, context.engine.identity)
        context.events.scored(scored)
        return scored

    def _score(self, context: StageContext, engine: EngineHandle, source: TaskSource, shots: int) -> Artifact:
        settings, console, prompting = self.settings, context.console, self.prompting

        def build(work: Path) -> Outcome:
            answering = JournaledEngine(engine.get(), Journal(work / "finished.jsonl"))
            result = score_task(source, shots, settings, answering, console, prompting, work, self.thinking_tokens)
            samples.write(result.samples, work / SAMPLES)
            counts = {"task": source.name, "shots": shots, "items": len(result.samples)}
            info = {**counts, "prompting": prompting.name, "conditions": result.conditions}
            return Outcome(result.scores, info, {SAMPLES: work / SAMPLES})

        return context.store.build(self.task_key(context.models, source, shots), build)

    def _scores(self, artifacts: Sequence[Artifact], iteration: int) -> list[Score]:
        """Converts the records of evaluations to scores of the model, and marks each task's primary score."""
        return [
            Score(self.model, iteration, self.prompting.name, one.task, one.shots, one.metric, one.filter, primary,
                  one.value, one.stderr, one.n)
            for artifact in artifacts
            for found in [artifact.read(TaskScore)]
            for one, primary in zip(found, primaries(found, self.settings.primary), strict=True)
        ]  # fmt: skip

    def _about(self, name: str) -> str:
        """The model, its prompting, and the tasks it skips: their responses commit to no answer, or the baseline is not
        scored at their shots.
        """
        planned = {source.name for source, _ in plan(self.settings, self.prompting)}
        left_out = [task for task in self.settings.tasks if task not in planned]
        how = "" if isinstance(self.prompting, Plain) else f", prompting={self.prompting.name}"
        without = f" (without {', '.join(left_out)}: no answer to prompt for)" if left_out else ""
        return f"{self.model}: {name}{how}{without}"

    def task_key(self, models: ModelKeys, source: TaskSource, shots: int) -> Key:
        """Everything that decides the scores of one task; not the suite's name, its other tasks, or `primary`."""
        settings = self.settings
        baseline = {} if isinstance(self.prompting, Plain) else {"prompting": self.prompting}
        stop = {"stop": settings.stop} if settings.stop else {}
        thinking = {"thinking_tokens": self.thinking_tokens} if self.thinking_tokens else {}
        drawn: dict[str, Any] = settings.drawn
        if settings.samples > 1 and isinstance(self.prompting, Plain):  # baselines are sampled once
            drawn["samples"] = settings.samples
        decides = {
            **baseline,
            **stop,
            **thinking,
            **(drawn if source.generates else {}),
            "task": source.key(),
            "shots": shots,
            "limit": settings.limit,
            "max_new_tokens": settings.max_new_tokens,
            "chat_template": settings.chat_template,
            "fewshot_as_multiturn": settings.fewshot_as_multiturn,
            "system_prompt": settings.system_prompt,
            "seed": settings.seed,
            "lm_eval": version("lm_eval"),
        }
        engine = models.engine if source.generates else models.choices or models.engine
        return Key(self.NAME, self.VERSION, decides, (engine,))


Planned = tuple[TaskSource, int]


def _by_engine(planned: Sequence[Planned], engine: EngineHandle) -> Iterator[tuple[Sequence[Planned], EngineHandle]]:
    """The (task, shots) that each engine scores. If one writes answers and another one computes likelihoods, the first
    is closed before the second is loaded.
    """
    if engine.choices is engine:
        yield planned, engine
        return
    yield [one for one in planned if one[0].generates], engine
    engine.close()
    yield [one for one in planned if not one[0].generates], engine.choices


def read_samples(artifact: Artifact) -> list[samples.Sample]:
    """The model's responses to the items; see `crescent.evaluation.samples`."""
    return samples.read(artifact.path / SAMPLES)
