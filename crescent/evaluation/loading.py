"""Loads tasks of lm-evaluation-harness with their data, ready to be scored.

In: a task source. Out: the harness's own task objects, set to a number of worked examples, with items processed once.
Scores nothing.
"""

import logging
import random
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import Any

from crescent.core.errors import UserError
from crescent.evaluation.settings import EvaluationSettings
from crescent.evaluation.task_config import TaskSource


def load(source: TaskSource, shots: int, settings: EvaluationSettings) -> dict[str, Any]:
    """The harness's task (or group) with its data, set to `shots`. Raises UserError if it cannot be loaded."""
    from lm_eval.tasks import TaskManager

    from crescent.evaluation import extraction
    from crescent.evaluation import shots as shots_of_others

    extraction.register()
    shots_of_others.register()
    manager = TaskManager(include_path=str(source.root), include_defaults=False)
    seed_everything(settings.seed)
    with _code_run_anew():
        try:
            loaded: dict[str, Any] = dict(manager.load([_spec(source)]))
        except Exception as error:  # data sets, hub, YAML and task code may raise anything
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise UserError(f"task {source.name} cannot be loaded: {reason}") from error
        for task in loaded["tasks"].values():
            _freeze_items(task)
    if source.overrides or source.members:
        loaded["groups"] = {source.name: _group(source, loaded["tasks"])} if source.members else {}
    if source.name != source.indexed_as and not source.members:  # a variant of a harness task under its own name
        loaded["tasks"] = {source.name: _renamed(loaded["tasks"][source.indexed_as], source.name)}
    for name, task in loaded["tasks"].items():
        if task.get_config("num_fewshot") != 0:
            task.set_config(key="num_fewshot", value=shots)
        elif shots:
            raise UserError(f"eval.tasks: {name} of group {source.name} fixes 0 shots; name the group's tasks instead")
        task.set_fewshot_seed(seed=settings.seed)
    return loaded


@contextmanager
def _code_run_anew() -> Iterator[None]:
    """Imports and runs tasks' Python code as in a new process, so that every load gives the same items.

    A module may hold a random generator; GPQA's uses one to shuffle the choices. lm-eval keeps such modules (marked
    with `__mtime__`), and so the generator's state from an earlier load (lm-eval 0.4.13). `datasets` caches what a
    module made of the items, and on a cache hit the generator does not advance.
    """
    import datasets

    for name in [name for name, module in sys.modules.items() if "__mtime__" in getattr(module, "__dict__", {})]:
        del sys.modules[name]
    caching = datasets.is_caching_enabled()
    datasets.disable_caching()
    try:
        yield
    finally:
        if caching:
            datasets.enable_caching()


def _spec(source: TaskSource) -> Any:
    """A name, or a group with overridden members: outside a group, a bare dictionary inherits nothing from a YAML."""
    overridden = source.members or ((source,) if source.overrides else ())
    if overridden:
        return {"group": "with_files", "task": [{"task": one.indexed_as, **one.overrides} for one in overridden]}
    return source.indexed_as


def _group(source: TaskSource, tasks: Mapping[str, Any]) -> Any:
    """The harness's group over its members; it aggregates their scores as the harness's YAML says."""
    from lm_eval.api.group import Group
    from lm_eval.config.group import GroupConfig

    group = Group.from_config(GroupConfig(source.name, aggregate_metric_list=source.config["aggregate_metric_list"]))
    for task in tasks.values():
        group.add(task)
    return group


def _renamed(task: Any, name: str) -> Any:
    task.config.task = name
    return task


def item_texts(source: TaskSource, settings: EvaluationSettings) -> list[str]:
    """The prompt of each scored item, without worked examples."""
    with quiet():
        tasks = load(source, 0, settings)["tasks"].values()
        return [_item_text(task, doc) for task in tasks for doc in islice(task.eval_docs, settings.limit)]


def _item_text(task: Any, doc: Mapping[str, Any]) -> str:
    """The prompt, or if that is only the index of a choice (Winogrande), all text of the item."""
    text = task.doc_to_text(doc)
    return text if isinstance(text, str) else " ".join(value for value in doc.values() if isinstance(value, str))


def _freeze_items(task: Any) -> None:
    """Processes a task's items only once.

    lm-eval calls `process_docs` every time items are read. GPQA's shuffles the choices with one generator for all
    calls, so prompts and targets come from different shuffles and the score is at chance level (lm-eval 0.4.13,
    datasets 5.2).
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
    """Seeds the generators that tasks may use, as `lm_eval.simple_evaluate` does."""
    import numpy as np
    import torch

    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


@contextmanager
def quiet() -> Iterator[None]:
    """Hides the harness's log lines and progress bars; errors are still shown."""
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
