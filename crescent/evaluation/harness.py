"""One task at one number of worked examples, scored by lm-evaluation-harness.

In: a task source, settings, a loaded engine. Out: every (metric, filter) that the harness reports, one of them primary,
and what the model said to each item. Values equal those of `lm_eval.simple_evaluate` with the same settings. It stores
nothing.
"""

import logging
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

from crescent.console import Console
from crescent.engines import Engine
from crescent.evaluation import catalogue
from crescent.evaluation.benchmarks import check_files, check_functions, check_hub, check_shots
from crescent.evaluation.metrics import subset_scores, task_scores
from crescent.evaluation.samples import Grouping, Sample, merge
from crescent.evaluation.settings import EvaluationSettings
from crescent.evaluation.sources import TaskSource
from crescent.records import TaskScore


@dataclass(frozen=True, slots=True)
class TaskResult:
    """Scores of one task at one number of shots, and one sample for each item."""

    scores: list[TaskScore]
    samples: list[Sample]


def check(settings: EvaluationSettings) -> None:
    """Raises ValueError of one line if a task cannot be scored: its name, its files, their lines. Loads no model."""
    for source in catalogue.find(settings):
        check_functions(source)
        check_shots(source, settings)
        for part in source.members or (source,):
            if part.files:
                check_files(part, settings)
            else:
                check_hub(part)


def plan(settings: EvaluationSettings) -> list[tuple[TaskSource, int]]:
    """What is to be scored: tasks by shots. A task that fixes 0 shots comes once, as 0-shot."""
    return [
        (source, shots)
        for source in catalogue.find(settings)
        for shots in ((0,) if source.fixes_zero_shots else settings.shots)
    ]


def score_task(
    source: TaskSource, shots: int, settings: EvaluationSettings, engine: Engine, console: Console
) -> TaskResult:
    """Scores one task. Raises ValueError if its data cannot be had or it reports no metric of eval.primary."""
    from lm_eval.evaluator import evaluate

    from crescent.evaluation.model import HarnessModel

    model = HarnessModel(
        engine, console, f"{source.name}, {shots}-shot", settings.max_new_tokens, settings.seed,
        settings.loglikelihood_batch,
    )  # fmt: skip
    with quiet():
        loaded = load(source, shots, settings)
        seed_everything(settings.seed)
        run: Any = evaluate  # its decorator hides its parameters from type checkers
        results = run(
            lm=model,
            task_dict=loaded,
            limit=settings.limit,
            bootstrap_iters=_bootstrap_iters(loaded),
            log_samples=True,
            system_instruction=settings.system_prompt,
            apply_chat_template=True,
            fewshot_as_multiturn=settings.fewshot_as_multiturn,
        )
    grouping = Grouping(source.metadata.get("cluster"), source.metadata.get("subset"))
    samples = merge(results["samples"], grouping)
    scores = task_scores(source.name, shots, results["results"][source.name], settings.primary)
    scores += subset_scores(source.name, shots, samples, source.metadata.get("unanswerable"), settings.primary)
    return TaskResult(scores, samples)


def load(source: TaskSource, shots: int, settings: EvaluationSettings) -> dict[str, Any]:
    """The harness's task (or group) with its data, set to `shots`. Raises ValueError if it cannot be loaded."""
    from lm_eval.tasks import TaskManager

    from crescent.evaluation import extraction
    from crescent.evaluation import shots as shots_of_others

    extraction.register()
    shots_of_others.register()
    manager = TaskManager(include_path=str(source.root), include_defaults=False)
    seed_everything(settings.seed)
    try:
        loaded: dict[str, Any] = dict(manager.load([_spec(source)]))
    except Exception as error:  # data sets, hub, YAML and task code raise what they like
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ValueError(f"task {source.name} cannot be loaded: {reason}") from error
    if source.overrides:
        loaded["groups"] = {}
    if source.name != source.indexed_as and not source.members:  # a variant of a harness task under a name of its own
        loaded["tasks"] = {source.name: _renamed(loaded["tasks"][source.indexed_as], source.name)}
    for name, task in loaded["tasks"].items():
        if task.get_config("num_fewshot") != 0:
            task.set_config(key="num_fewshot", value=shots)
        elif shots:
            raise ValueError(f"eval.tasks: {name} of group {source.name} fixes 0 shots; name the group's tasks instead")
        task.set_fewshot_seed(seed=settings.seed)
        freeze_items(task)
    return loaded


def _spec(source: TaskSource) -> Any:
    """What the harness is asked for: a name, or a group, because a bare dictionary would inherit nothing from a YAML."""
    if source.members:
        members = [{"task": member.indexed_as, **member.overrides} for member in source.members]
        return {**source.config, "group": source.name, "task": members}
    if source.overrides:
        return {"group": "with_files", "task": [{"task": source.indexed_as, **source.overrides}]}
    return source.indexed_as


def _renamed(task: Any, name: str) -> Any:
    task.config.task = name
    return task


def item_texts(source: TaskSource, settings: EvaluationSettings) -> list[str]:
    """What the task asks about each item that is scored, without worked examples."""
    with quiet():
        tasks = load(source, 0, settings)["tasks"].values()
        return [_item_text(task, doc) for task in tasks for doc in islice(task.eval_docs, settings.limit)]


def _item_text(task: Any, doc: Mapping[str, Any]) -> str:
    """The prompt, or where that is only the index of a choice (Winogrande), all text of the item."""
    text = task.doc_to_text(doc)
    return text if isinstance(text, str) else " ".join(value for value in doc.values() if isinstance(value, str))


def freeze_items(task: Any) -> None:
    """Processes a task's items once.

    lm-eval calls `process_docs` whenever items are read. GPQA's shuffles the choices with one generator for all calls,
    so prompts and targets come from different shuffles and the score is chance (lm-eval 0.4.13, datasets 5.2).
    """
    process = getattr(task.config, "process_docs", None)
    if process is None:
        return
    config, shots = task.config, task.fewshot_cfg
    splits = {config.training_split, config.validation_split, config.test_split, shots.split} - {None}
    task.dataset = {**task.dataset, **{split: process(task.dataset[split]) for split in sorted(splits)}}
    own_shots = shots.process_docs is not process
    config.process_docs = None
    if not own_shots:
        shots.process_docs = None
        task.sampler.replace_df(list(task.fewshot_docs() or ()))


def seed_everything(seed: int) -> None:
    """The generators that tasks may draw from, as `lm_eval.simple_evaluate` seeds them."""
    import numpy as np
    import torch

    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps the harness's log lines and progress bars from the terminal; errors still show."""
    import datasets
    import lm_eval.api.task as tasks

    logger, bar, hidden = logging.getLogger("lm_eval"), tasks.tqdm, datasets.are_progress_bars_disabled()
    level = logger.level
    logger.setLevel(logging.ERROR)
    datasets.disable_progress_bars()
    tasks.tqdm = partial(bar, disable=True)
    try:
        yield
    finally:
        tasks.tqdm = bar
        logger.setLevel(level)
        if not hidden:
            datasets.enable_progress_bars()


def _bootstrap_iters(loaded: dict[str, Any]) -> int:
    """1 where every standard error has a closed form (nothing is resampled), else 0: no standard error.

    With 0 the harness gives no standard error at all, with more it would start a pool of processes for some metrics.
    """
    from lm_eval.api.metrics import acc_all_stderr, mean_stderr, stderr_for_metric

    aggregations = [one for task in loaded["tasks"].values() for one in task.aggregation().values()]
    closed = (None, mean_stderr, acc_all_stderr)
    return int(all(stderr_for_metric(one, bootstrap_iters=1) in closed for one in aggregations))
