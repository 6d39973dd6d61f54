"""Where a task's definition is: YAML folders of our own, overlays on them, or lm-evaluation-harness's tasks.

In: settings. Out: one `TaskSource` for each task, with its configuration as written, its local data files, and what
of both belongs in a key. It reads YAML only: no data, no model, and not the harness's modules, which take seconds to
import. Indexing the harness's 14,000 YAMLs takes 8 seconds more, so a name is looked for in them as text (0.3 seconds).
"""

import difflib
import functools
import hashlib
import importlib.util
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from crescent.evaluation.settings import EvaluationSettings

# `task: gsm8k`, `"task": "mmlu_anatomy"`, `group: mmlu  # all subjects`
_NAME = re.compile(r"""^['"]?(?:task|group)['"]?:[ \t]*['"]?([^\s'"#\[]+)['"]?[ \t]*(?:#.*)?$""", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class TaskSource:
    """One task. `root` is the folder to index it from; `overrides` replace keys of its YAML; `files` hold its data."""

    name: str
    root: Path
    config: Mapping[str, Any]
    overrides: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)
    definition: Mapping[str, Any] = field(default_factory=dict)

    @property
    def fixes_zero_shots(self) -> bool:
        """Whether the task allows no worked examples, whatever is asked (IFEval, TruthfulQA)."""
        return self.config.get("num_fewshot") == 0

    def key(self) -> dict[str, Any]:
        """What decides the items and their scoring, equal on every machine: configuration and contents of the files."""
        data = {split: [_sha256(path) for path in paths] for split, paths in self.files.items()}
        return {"name": self.name, "definition": self.definition, "data": data}


def find(settings: EvaluationSettings) -> list[TaskSource]:
    """The source of each task, in order. Raises ValueError for a name that is nowhere."""
    own = {name: (folder, file) for folder in settings.task_folders for name, file in _names_in(folder).items()}
    sources = []
    for name in settings.tasks:
        config = read_yaml(own[name][1]) if name in own else {"extends": "harness"}
        if "extends" not in config:
            sources.append(_own_source(name, *own[name], config))
        elif name in own and settings.data:
            sources.append(_overlay_source(name, config, settings))
        else:
            sources.append(_harness_source(name, settings))
    return sources


def read_yaml(file: Path) -> dict[str, Any]:
    """A task's YAML with its includes; `!function utils.f` is left as the text of an absolute path, /tasks/utils.f."""

    class Loader(yaml.SafeLoader):
        pass

    Loader.add_constructor("!function", lambda _, node: str(file.parent.resolve() / str(node.value)))
    try:
        config = yaml.load(file.read_text(encoding="utf-8"), Loader)
    except yaml.YAMLError as error:
        raise ValueError(f"{file} is no valid YAML: {' '.join(str(error).split())}") from None
    except OSError as error:
        raise ValueError(f"{file} cannot be read ({error.strerror}); a task's YAML includes it") from None
    if not isinstance(config, dict):
        raise ValueError(f"{file} is no task: it holds no keys")
    includes = config.pop("include", [])
    for include in reversed([includes] if isinstance(includes, str) else includes):
        config = {**read_yaml(file.parent / include), **config}
    return config


def _own_source(name: str, folder: str, file: Path, config: Mapping[str, Any]) -> TaskSource:
    if "group" in config:  # its members' data and settings would be missing in the key
        raise ValueError(f"eval.tasks: {name} ({file}) is a group; name its tasks instead")
    files = dict(_data_files(config, file.parent))
    overrides: dict[str, Any] = {}
    if files:
        overrides["dataset_kwargs"] = {**config["dataset_kwargs"], "data_files": _as_text(files)}
    definition = _portable({k: v for k, v in config.items() if k != "dataset_kwargs"}, Path(folder).resolve())
    return TaskSource(name, Path(folder), config, overrides, files, definition)


def _overlay_source(name: str, config: Mapping[str, Any], settings: EvaluationSettings) -> TaskSource:
    """The harness's task of that name with data from files: the overlay's keys replace the harness's."""
    base = _harness_source(name, settings)
    files = dict(_data_files(config, Path(settings.data or "").expanduser()))
    overlay = {k: v for k, v in config.items() if k not in ("task", "extends", "dataset_kwargs")}
    overrides = {"dataset_path": "json", "dataset_name": None, **overlay}
    overrides["dataset_kwargs"] = {"data_files": _as_text(files)}
    definition = {**base.definition, "overlay": overlay}
    return TaskSource(name, base.root, {**base.config, **overrides}, overrides, files, definition)


def _harness_source(name: str, settings: EvaluationSettings) -> TaskSource:
    names = _harness_names()
    if name not in names:
        raise ValueError(_unknown(name, settings))
    root = _harness_tasks() / names[name].relative_to(_harness_tasks()).parts[0]
    return TaskSource(name, root, read_yaml(names[name]), definition={"harness": name})


def _data_files(config: Mapping[str, Any], folder: Path) -> Iterator[tuple[str, tuple[Path, ...]]]:
    """`data_files: {test: data/x.jsonl}` as absolute paths by split."""
    files = (config.get("dataset_kwargs") or {}).get("data_files") or {}
    if not isinstance(files, Mapping):
        files = {"train": files}  # as `datasets` reads a bare path
    for split, paths in files.items():
        named = [paths] if isinstance(paths, str) else paths
        yield split, tuple((folder / path).absolute() for path in named)


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
        raise ValueError(f"eval.task_folders: there is no folder {folder}")
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


def _portable(value: Any, root: Path) -> Any:
    """A configuration without machine paths: `!function utils.f`, by now an absolute path, gets its module's hash."""
    if isinstance(value, Mapping):
        return {str(name): _portable(item, root) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_portable(item, root) for item in value]
    if isinstance(value, str) and value.startswith(f"{root}{os.sep}"):
        module = Path(value).with_suffix(".py")  # /tasks/utils.process_docs -> /tasks/utils.py
        return [str(Path(value).relative_to(root)), _sha256(module) if module.exists() else ""]
    return value


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
