"""Scores a model on a suite of tasks, before or after training.

In: an engine that may not be loaded yet. Out: one artifact for each (task, shots), with `TaskScore` records and a
`samples.jsonl`. A model is scored once for each task and its settings, whoever asks; a killed evaluation goes on with
the first pair that has no artifact, and of that one with the first item it has not answered or the first slice of
choices it has not scored. It compares nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

from crescent.core.console import Console
from crescent.core.records import Score, TaskScore
from crescent.core.store import Artifact, Outcome, Store
from crescent.engines import LazyEngine
from crescent.engines.journal import Journal, JournaledEngine
from crescent.evaluation import samples
from crescent.evaluation.harness import PLAIN, plan, score_task
from crescent.evaluation.metrics import primaries
from crescent.evaluation.settings import EvaluationSettings
from crescent.evaluation.task_config import TaskSource
from crescent.prompting.baselines import Baseline, Plain

SAMPLES = "samples.jsonl"


@dataclass(frozen=True, slots=True)
class Evaluate:
    """`Evaluate(settings).run(store, engine, console)`; the suite without tasks gives no artifact."""

    NAME: ClassVar[str] = "evaluate"
    VERSION: ClassVar[int] = 3

    settings: EvaluationSettings

    def run(
        self,
        store: Store,
        engine: LazyEngine,
        console: Console,
        prompting: Plain | Baseline = PLAIN,
        thinking_tokens: int = 0,
    ) -> list[Artifact]:
        """The artifacts of all (task, shots), in order. The engine is loaded only if one of them is missing.

        `thinking_tokens` is the model's room for thoughts, beside each task's limit.
        """
        artifacts = []
        for source, shots in plan(self.settings, prompting):

            def build(work: Path, source: TaskSource = source, shots: int = shots) -> Outcome:
                answering = JournaledEngine(engine.get(), Journal(work / "finished.jsonl"))
                result = score_task(source, shots, self.settings, answering, console, prompting, work, thinking_tokens)
                samples.write(result.samples, work / SAMPLES)
                counts = {"task": source.name, "shots": shots, "items": len(result.samples)}
                info = {**counts, "prompting": prompting.name, "conditions": result.conditions}
                return Outcome(result.scores, info, {SAMPLES: work / SAMPLES})

            key = self._key(source, shots, prompting, thinking_tokens)
            artifacts.append(store.build(self.NAME, self.VERSION, key, [engine.identity], build))
        return artifacts

    def scores(self, artifacts: Sequence[Artifact], model: str, iteration: int, prompting: str = "none") -> list[Score]:
        """The records of evaluations as scores of `model` (teacher, base or student), with the primary of each task.

        Raises ValueError if `eval.primary` names none of what a task reports.
        """
        return [
            Score(model, iteration, prompting, one.task, one.shots, one.metric, one.filter, primary, one.value,
                  one.stderr, one.n)
            for artifact in artifacts
            for found in [artifact.read(TaskScore)]
            for one, primary in zip(found, primaries(found, self.settings.primary), strict=True)
        ]  # fmt: skip

    def left_out(self, prompting: Plain | Baseline) -> list[str]:
        """The tasks that a baseline is not asked of: their responses commit to no answer, or it has no such shots."""
        planned = {source.name for source, _ in plan(self.settings, prompting)}
        return [name for name in self.settings.tasks if name not in planned]

    def _key(
        self, source: TaskSource, shots: int, prompting: Plain | Baseline, thinking_tokens: int = 0
    ) -> dict[str, Any]:
        """All that decides a score beside the model. The suite's name, its other tasks and `primary` do not."""
        settings = self.settings
        baseline = {} if isinstance(prompting, Plain) else {"prompting": prompting}
        stop = {"stop": settings.stop} if settings.stop else {}
        thinking = {"thinking_tokens": thinking_tokens} if thinking_tokens else {}
        drawn: dict[str, Any] = {"temperature": settings.temperature} if settings.temperature else {}
        if settings.samples > 1 and isinstance(prompting, Plain):  # baselines are asked once
            drawn["samples"] = settings.samples
        return {
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


def read_samples(artifact: Artifact) -> list[samples.Sample]:
    """What the model said to each item; see `crescent.evaluation.samples`."""
    return samples.read(artifact.path / SAMPLES)
