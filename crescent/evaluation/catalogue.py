"""Finds a task's definition: in our own YAML folders, as an overlay in them, or in lm-evaluation-harness.

In: settings. Out: one `TaskSource` per task. An overlay (`extends: harness`, or `extends: gsm8k` for a variant of that
task under another name) changes keys of a harness task: where its rows come from, how answers are read. Reads only
YAML: no data, no model, and not the harness's modules, which take seconds to import. Indexing the harness's 14,000
YAMLs would take 8 seconds more, so names are searched for in their text (0.3 seconds).
"""

import difflib
import functools
import importlib.util
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from crescent.core.errors import UserError
from crescent.evaluation.hub import named_in
from crescent.evaluation.settings import EvaluationSettings
from crescent.evaluation.task_config import TaskSource, data_files, portable, read_yaml

OVERLAYS = Path(__file__).parent / "tasks"
ANSWERS_FILTER = "crescent"  # the name of the filter that reads answers with crescent.answers
WHOLE_RESPONSE = {"name": "none", "filter": [{"function": "take_first"}]}  # the harness's filter if a task names none
ANSWERS_VERSION = 4  # raise when crescent.answers reads a response differently: affected tasks are scored again
READER_NAMES = ("crescent_answers", "CrescentAnswers")  # names of that filter in a filter_list
# `task: gsm8k`, `"task": "mmlu_anatomy"`, `group: mmlu  # all subjects`
_NAME = re.compile(r"""^['"]?(?:task|group)['"]?:[ \t]*['"]?([^\s'"#\[]+)['"]?[ \t]*(?:#.*)?$""", re.MULTILINE)


def find(settings: EvaluationSettings) -> list[TaskSource]:
    """The source of each task, in order. Raises UserError for an unknown name."""
    own = {name: (folder, file) for folder in settings.task_folders for name, file in _names_in(folder).items()}
    sources = []
    for name in settings.tasks:
        config = read_yaml(own[name][1]) if name in own else {"extends": "harness"}
        if "extends" not in config:
            sources.append(_own_source(name, *own[name], config))
        elif name in own:
            sources.append(_overlay_source(name, config, settings))
        else:
            source = _harness_source(name, settings)
            above = _group_overlay(source, [file for _, file in own.values()]) if settings.data else None
            sources.append(_with_files(source, above, _folder(settings)) if above else source)
    return sources


def reads_files(task: str, settings: EvaluationSettings) -> bool:
    """True if the task's data can be read from local files: its own files, or through an overlay."""
    (source,) = find(replace(settings, tasks=(task,), data=settings.data or "."))
    return all(part.files for part in source.members or (source,))


@functools.cache
def unanswerable(task: str, folders: tuple[str, ...]) -> str | None:
    """The subset of a task that has no answers, from its YAML in one of the folders or in our own overlays."""
    for folder in (*folders, str(OVERLAYS)):
        file = _names_in(folder).get(task) if Path(folder).is_dir() else None
        if file is not None:
            return (read_yaml(file).get("metadata") or {}).get("unanswerable")
    return None


def _own_source(name: str, folder: str, file: Path, config: Mapping[str, Any]) -> TaskSource:
    if "group" in config:  # the key would not cover its members' data and settings
        raise UserError(f"eval.tasks: {name} ({file}) is a group; name its tasks instead")
    files = dict(data_files(config, file.parent))
    overrides: dict[str, Any] = {}
    if files:
        overrides["dataset_kwargs"] = {**config["dataset_kwargs"], "data_files": _as_text(files)}
    definition = portable({k: v for k, v in config.items() if k != "dataset_kwargs"}, Path(folder).resolve())
    metadata = config.get("metadata") or {}
    definition = {**definition, **_versions(config, metadata)}
    hub = () if files else named_in(config)
    return TaskSource(name, Path(folder), config, overrides, files, definition, metadata=metadata, hub=hub)


def _overlay_source(name: str, config: Mapping[str, Any], settings: EvaluationSettings) -> TaskSource:
    """A harness task with keys replaced by the overlay's; with `eval.data`, its rows come from files."""
    base = _harness_source(name if config["extends"] == "harness" else str(config["extends"]), settings)
    metadata = config.get("metadata") or {}
    kept = {k: v for k, v in config.items() if k not in ("task", "extends", "dataset_kwargs", "metadata")}
    overlay = {**kept, **_with_answers(base.config, metadata)}
    definition = {**base.definition, "overlay": overlay, **_versions(overlay, metadata)}
    said = {"path": overlay.get("dataset_path"), "config": overlay.get("dataset_name")}
    hub = tuple(replace(one, **{key: value for key, value in said.items() if value}) for one in base.hub)
    source = TaskSource(
        name, base.root, {**base.config, **overlay}, overlay, {}, definition, base.name, metadata, hub=hub
    )
    return _with_files(source, config, _folder(settings)) if settings.data else source


def _group_overlay(source: TaskSource, overlays: Iterable[Path]) -> Mapping[str, Any] | None:
    """The overlay of a harness group that contains the task or smaller group: mmlu's for mmlu_stem and mmlu_anatomy.
    Its files apply to them; its sizes are those of the whole group.
    """
    members = set(_names_of_members(source.name))
    for file in overlays:
        overlay = read_yaml(file)
        group = overlay.get("task") if overlay.get("extends") == "harness" else overlay.get("extends")
        if group in _harness_names() and "dataset_kwargs" in overlay and members <= _names_of_members(group):
            return overlay
    return None


@functools.cache
def _names_of_members(name: str) -> frozenset[str]:
    """The tasks of a harness group; for a task, just itself."""
    file = _harness_names()[name]
    config = read_yaml(file)
    found = _members(config, file.parent) if "group" in config else [(name, file)]
    return frozenset(one for one, _ in found)


def _folder(settings: EvaluationSettings) -> Path:
    return Path(settings.data or ".").expanduser()


def _with_files(source: TaskSource, overlay: Mapping[str, Any], folder: Path) -> TaskSource:
    """`source` with its rows read from files below `folder`; `{dataset_name}` in a path is a member's own
    dataset_name.
    """
    if "group" in source.config:
        found = _members(source.config, _harness_names()[source.indexed_as].parent)
        members = tuple(_with_files(_from_harness(one, file), overlay, folder) for one, file in found)
        return replace(source, members=members)
    named = _named(overlay, source.config.get("dataset_name"))
    files = dict(data_files(named, folder))
    data = {"dataset_path": "json", "dataset_name": None, "dataset_kwargs": {"data_files": _as_text(files)}}
    return replace(source, config={**source.config, **data}, overrides={**source.overrides, **data}, files=files)


def _named(overlay: Mapping[str, Any], dataset_name: Any) -> dict[str, Any]:
    files = overlay["dataset_kwargs"]["data_files"]
    return {"dataset_kwargs": {"data_files": {k: v.format(dataset_name=dataset_name) for k, v in files.items()}}}


def _with_answers(config: Mapping[str, Any], metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The task's filters, followed by ours if its responses commit to an answer."""
    if "answers" not in metadata:
        return {}
    reader = {
        "function": "crescent_answers",
        "kind": metadata["answers"],
        "otherwise": metadata.get("answers_otherwise"),
        "target": config["doc_to_target"],
    }
    if "equality" in metadata:
        reader["equality"] = metadata["equality"]
    ours = {"name": ANSWERS_FILTER, "filter": [reader, {"function": "take_first"}]}
    return {"filter_list": [*config.get("filter_list", [WHOLE_RESPONSE]), ours]}


def _versions(config: Mapping[str, Any], metadata: Mapping[str, Any]) -> dict[str, Any]:
    """What decides samples and scores apart from the YAML's keys: parts of the metadata, and our filter's version."""
    decides = {k: v for k, v in metadata.items() if k in ("cluster", "subset", "unanswerable")}
    ours = "answers" in metadata or any(name in str(config.get("filter_list")) for name in READER_NAMES)
    return {**decides, **({"answers_version": ANSWERS_VERSION} if ours else {})}


def _harness_source(name: str, settings: EvaluationSettings) -> TaskSource:
    names = _harness_names()
    if name not in names:
        raise UserError(_unknown(name, settings))
    return _from_harness(name, names[name])


def _from_harness(name: str, file: Path) -> TaskSource:
    root = _harness_tasks() / file.relative_to(_harness_tasks()).parts[0]
    config = read_yaml(file)
    configs = [read_yaml(one) for _, one in _members(config, file.parent)] if "group" in config else [config]
    hub = tuple(dict.fromkeys(data for one in configs for data in named_in(one)))
    return TaskSource(name, root, config, definition={"harness": name}, hub=hub)


def _members(group: Mapping[str, Any], folder: Path) -> list[tuple[str, Path]]:
    """The tasks of a harness group in its order, each with its YAML; subgroups and tags are followed.

    An entry is a name (possibly of a task in another folder) or a mapping: `{task: gsm8k, num_fewshot: 5}`, or an
    inline group.
    """
    configs = [(file, read_yaml(file)) for file in sorted(folder.glob("*.yaml"))]
    groups = {config["group"]: config for _, config in configs if "group" in config}
    tasks = {config["task"]: (file, config) for file, config in configs if isinstance(config.get("task"), str)}
    found: list[tuple[str, Path]] = []
    for entry in (one if isinstance(one, str) else one["task"] for one in group["task"]):
        if isinstance(entry, list):
            found += _members({"task": entry}, folder)
        elif entry in groups:
            found += _members(groups[entry], folder)
        elif entry in tasks:
            found.append((entry, tasks[entry][0]))
        else:
            tagged = [name for name, (_, config) in tasks.items() if entry in _listed(config.get("tag"))]
            found += [(name, tasks[name][0]) for name in sorted(tagged)] or _members_elsewhere(entry)
    return found


def _members_elsewhere(name: str) -> list[tuple[str, Path]]:
    """A task or group that is in another folder of the harness; empty if it is a tag there."""
    if name not in _harness_names():
        return []
    file = _harness_names()[name]
    config = read_yaml(file)
    return _members(config, file.parent) if "group" in config else [(name, file)]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _as_text(files: Mapping[str, tuple[Path, ...]]) -> dict[str, list[str]]:
    return {split: [str(path) for path in paths] for split, paths in files.items()}


def _harness_tasks() -> Path:
    spec = importlib.util.find_spec("lm_eval")
    assert spec is not None and spec.origin is not None, "lm-eval is a dependency of crescent"
    return Path(spec.origin).parent / "tasks"


@functools.cache
def _harness_names() -> dict[str, Path]:
    """Every task and group of the harness, and its YAML."""
    return _names_in(str(_harness_tasks()))


def _names_in(folder: str) -> dict[str, Path]:
    """Every task and group whose YAML is in a folder or below it."""
    if not Path(folder).is_dir():
        raise UserError(f"eval.task_folders: there is no folder {folder}")
    names: dict[str, Path] = {}
    for parent, _, files in sorted(os.walk(folder)):
        for file in (Path(parent, name) for name in sorted(files) if name.endswith(".yaml")):
            for name in _NAME.findall(file.read_text(encoding="utf-8", errors="replace")):
                names.setdefault(name, file)
    return names


def _unknown(name: str, settings: EvaluationSettings) -> str:
    own = sorted({task for folder in settings.task_folders for task in _names_in(folder)})
    close = difflib.get_close_matches(name, [*own, *_harness_names()], n=3, cutoff=0.75)
    hint = f" Did you mean {' or '.join(close)}?" if close else ""
    where = f" The task folders have {', '.join(own)}." if own else ""
    return f"eval.tasks: there is no task {name!r}.{hint}{where} `lm-eval ls tasks` lists the harness's."
