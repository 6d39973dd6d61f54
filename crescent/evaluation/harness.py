"""Scores one task at one number of worked examples with lm-evaluation-harness.

In: a task source, settings, a loaded engine. Out: every (metric, filter) that the harness reports, and the response to
each item. Values equal those of `lm_eval.simple_evaluate` with the same settings. Stores nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from crescent.core.console import Console
from crescent.core.errors import UserError
from crescent.core.records import TaskScore, text_id
from crescent.engines import Engine
from crescent.evaluation import catalogue
from crescent.evaluation.benchmarks import (
    check_equality,
    check_files,
    check_functions,
    check_hub,
    check_nltk,
    check_shots,
)
from crescent.evaluation.loading import load, quiet, seed_everything
from crescent.evaluation.many_samples import combine, combine_scores
from crescent.evaluation.metrics import cost_scores, subset_scores, task_scores
from crescent.evaluation.samples import Grouping, Sample, merge
from crescent.evaluation.settings import EvaluationSettings
from crescent.evaluation.task_config import TaskSource
from crescent.prompting.baselines import Baseline, Example, Plain, Prompting, TaskView

PLAIN = Plain()
NO_PROMPTING = Prompting()


@dataclass(frozen=True, slots=True)
class TaskResult:
    """Scores of one task at one number of shots, one sample per item, and the conditions of both."""

    scores: list[TaskScore]
    samples: list[Sample]
    conditions: dict[str, Any]


def check(settings: EvaluationSettings, prompting: Prompting = NO_PROMPTING) -> None:
    """Raises UserError of one line if a task cannot be scored: its name, its files, their lines. Loads no model."""
    if prompting.baselines and not settings.chat_template:
        raise UserError(f"prompting={prompting.name} needs eval.chat_template=true: baselines rewrite chat turns")
    for baseline in prompting.baselines.values():
        if settings.tasks and not plan(settings, baseline):
            raise UserError(
                f"prompting={baseline.name} applies to no task of eval={settings.name} at eval.shots="
                f"{list(settings.shots)}: it needs one with an answer to extract (gsm8k, organism_gsm), and one of its "
                f"own shots {list(baseline.shots)}"
            )
    for source in catalogue.find(settings):
        check_nltk(source)
        check_equality(source)
        check_functions(source)
        check_shots(source, settings)
        for part in source.members or (source,):
            if part.files:
                check_files(part, settings)
            else:
                check_hub(part, settings)


def plan(settings: EvaluationSettings, prompting: Plain | Baseline = PLAIN) -> list[tuple[TaskSource, int]]:
    """The (task, shots) pairs to score. A task that fixes 0 shots appears once, as 0-shot.

    A baseline skips tasks whose responses commit to no answer. A variant that equals another task at 0 shots
    (`zero_shot_as`) is not scored at 0 shots.
    """
    return [
        (source, shots)
        for source in catalogue.find(settings)
        if isinstance(prompting, Plain) or applies(source)
        for shots in ((0,) if source.fixes_zero_shots else settings.shots)
        if prompting.scored_at(shots) and (shots or "zero_shot_as" not in source.metadata)
    ]


def applies(source: TaskSource) -> bool:
    """True if prompting baselines apply to the task: it generates, and its responses commit to an answer."""
    return source.generates and source.kind is not None


def score_task(
    source: TaskSource,
    shots: int,
    settings: EvaluationSettings,
    engine: Engine,
    console: Console,
    prompting: Plain | Baseline = PLAIN,
    work: Path | None = None,
    thinking_tokens: int = 0,
) -> TaskResult:
    """Scores one task. `work` is the folder for log-likelihoods that are not committed yet; `thinking_tokens` are added
    to the limits of new tokens. Raises UserError if the task's data cannot be loaded.
    """
    from crescent.evaluation.loglikelihood_journal import Slices
    from crescent.evaluation.model import HarnessModel

    title = f"{source.name}, {shots}-shot" + ("" if isinstance(prompting, Plain) else f", {prompting.name}")
    count = settings.samples if source.generates and isinstance(prompting, Plain) else 1
    inner = HarnessModel(
        engine, console, title, settings.max_new_tokens, settings.seed, settings.loglikelihood_batch, settings.stop,
        Slices(work / "loglikelihoods.jsonl") if work else None, thinking_tokens, settings.sampling, count,
    )  # fmt: skip
    runs, tables, conditions = [], [], {}
    for sample in range(count):
        inner.sample = sample
        run, table, conditions = _score_once(inner, source, shots, settings, prompting)
        runs.append(run)
        tables.append(table)
    samples = combine(runs, applies(source), source.metadata.get("equality", "canonical"))
    scores = combine_scores(tables, samples)
    scores += subset_scores(source.name, shots, samples, source.metadata.get("unanswerable"))
    scores += cost_scores(source.name, shots, samples)
    return TaskResult(scores, samples, {**conditions, **_sampled(settings, thinking_tokens, count)})


def _score_once(
    inner: Any, source: TaskSource, shots: int, settings: EvaluationSettings, prompting: Plain | Baseline
) -> tuple[list[Sample], list[TaskScore], dict[str, Any]]:
    """One sample per item: responses, the harness's table, and the conditions of both."""
    from lm_eval.evaluator import evaluate

    with quiet():
        loaded = load(source, shots, settings)
        model = _prompted(inner, source, loaded, settings, prompting)
        seed_everything(settings.seed)
        run: Any = evaluate  # its decorator hides its parameters from type checkers
        results = run(
            lm=model,
            task_dict=loaded,
            limit=settings.limit,
            bootstrap_iters=_bootstrap_iters(loaded),
            log_samples=True,
            system_instruction=settings.system_prompt,
            apply_chat_template=settings.chat_template,
            fewshot_as_multiturn=settings.fewshot_as_multiturn,
        )
    thoughts = inner.thoughts if inner.thinks and isinstance(prompting, Plain) else ()
    grouping = Grouping(source.metadata.get("cluster"), source.metadata.get("subset"))
    merged = merge(results["samples"], grouping, _spent(loaded, model.usage), _spent(loaded, thoughts))
    samples = [{**sample, "prompting": prompting.name} for sample in merged]
    table = task_scores(source.name, shots, results["results"][source.name])
    return samples, table, _conditions(inner, loaded, shots, settings, prompting)


def _prompted(
    inner: Any, source: TaskSource, loaded: Mapping[str, Any], settings: EvaluationSettings, prompting: Plain | Baseline
) -> Any:
    """The model to hand to the harness: `inner`, or `inner` behind a baseline."""
    if isinstance(prompting, Plain):
        return inner
    from crescent.prompting.conversations import PromptedModel

    try:
        return PromptedModel(inner, prompting.method(_view(source, loaded, settings)))
    except ValueError as error:
        raise UserError(f"task {source.name}: {error}") from None


def _view(source: TaskSource, loaded: Mapping[str, Any], settings: EvaluationSettings) -> TaskView:
    """What a baseline may know about the task."""
    kinds = tuple(kind for kind in (source.kind, source.metadata.get("answers_otherwise")) if kind)
    seed = source.metadata.get("cluster")
    examples, clusters = [], {}
    for task in loaded["tasks"].values():
        for doc in task.fewshot_docs() or ():
            shown = task.build_qa_turn(
                q=task.doc_to_text(doc, task.fewshot_cfg.doc_to_text),
                a=task.doc_to_target(doc, task.fewshot_cfg.doc_to_target),
            )
            turns = tuple(message.to_dict() for message in shown)
            examples.append(Example(turns, str(doc[seed]) if seed else None))
        if seed:
            clusters |= {task.doc_to_text(doc): str(doc[seed]) for doc in task.eval_docs}
    return TaskView(kinds, examples, clusters, settings.fewshot_as_multiturn, settings.seed)


def _spent(loaded: Mapping[str, Any], usage: Sequence[tuple[int, int]]) -> dict[tuple[str, int], tuple[int, int]]:
    """Sums pairs of numbers per request (such as prompt and new tokens) to pairs per (task, item); empty if nothing was
    generated.
    """
    spent: dict[tuple[str, int], tuple[int, int]] = {}
    asked = [
        (name, one) for name, task in loaded["tasks"].items() for one in task.instances for _ in range(one.repeats)
    ]
    for (name, request), (prompt, new) in zip(asked, usage, strict=bool(usage)):
        before = spent.get((name, request.doc_id), (0, 0))
        spent[name, request.doc_id] = (before[0] + prompt, before[1] + new)
    return spent


def _conditions(
    model: Any, loaded: Mapping[str, Any], shots: int, settings: EvaluationSettings, prompting: Plain | Baseline
) -> dict[str, Any]:
    """All conditions of a score, stored with it."""
    template = str(model.tokenizer.chat_template)
    generation = [
        {"max_gen_toks": settings.max_new_tokens, **(task.get_config("generation_kwargs") or {})}
        for task in loaded["tasks"].values()
        if task.OUTPUT_TYPE == "generate_until"
    ]
    return {
        "shots": shots,
        "chat_template": text_id(template) if settings.chat_template else None,
        "fewshot_as_multiturn": settings.fewshot_as_multiturn,
        "system_prompt": settings.system_prompt,
        "generation": generation[0] if generation else None,
        "stop": list(settings.stop),
        "seed": settings.seed,
        "limit": settings.limit,
        "prompting": asdict(prompting),
        **({"thoughts": "closed before each choice"} if model.closes_thoughts else {}),
    }


def _sampled(settings: EvaluationSettings, thinking_tokens: int, count: int) -> dict[str, Any]:
    """Conditions that only some scores have."""
    thinking = {"thinking_tokens": thinking_tokens} if thinking_tokens else {}
    drawn = settings.drawn
    return {**thinking, **({"samples": count} if "temperature" in drawn else {}), **drawn}


def _bootstrap_iters(loaded: dict[str, Any]) -> int:
    """1 if every standard error has a closed form (nothing is resampled), else 0: no standard error.

    With 0 the harness gives no standard error at all; with more than 1 it would start a pool of processes for some
    metrics.
    """
    from lm_eval.api.metrics import acc_all_stderr, mean_stderr, stderr_for_metric

    aggregations = [one for task in loaded["tasks"].values() for one in task.aggregation().values()]
    closed = (None, mean_stderr, acc_all_stderr)
    return int(all(stderr_for_metric(one, bootstrap_iters=1) in closed for one in aggregations))
