"""One task's YAML and local files, and the parts of both that belong in a key.

In: a YAML file. Out: a configuration, a `TaskSource`. Opens only that file, its includes, and (for a key) the data
files; for the key of a hub data set it asks the hub for the revision. `catalogue` decides where tasks are looked up.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from crescent.core.errors import UserError
from crescent.evaluation.hub import HubData

SCORING = (
    "answers_version", "cluster", "filter_list", "fewshot_config", "generation_kwargs", "metadata", "metric_list",
    "num_fewshot", "process_results", "repeats", "subset", "unanswerable",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class TaskSource:
    """One task, or a group with its `members`.

    `root` is the folder to index it from, `base` its name there if that differs; `overrides` replace keys of its YAML;
    `files` contain its data, `hub` lists the data sets that are read if there are no files (several only for a group).
    `metadata` is from Crescent's own YAML:

        answers: number            # the kind of answer that the filter `crescent` reads (crescent.answers)
        answers_otherwise: name    # the kind if the target is not of that kind
        equality: symbolic         # algebraically equal answers are equal (crescent.answers.symbolic)
        fields: [problem, answer]  # what the rows need, where the task's code reads them
        cluster: seed_question     # the field that is equal for items made from one seed
        subset: perturbation_type  # the field by which sub-scores are reported
        unanswerable: critical thinking  # the subset without an answer: the sub-score "answerable" leaves it out
        zero_shot_as: gsm_plus_mini  # the task that it equals at 0 shots, where it is therefore not scored
        nltk: tokenizers/punkt_tab # nltk data that the task's code needs
        rows: {test: 1319}         # known sizes
    """

    name: str
    root: Path
    config: Mapping[str, Any]
    overrides: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)
    definition: Mapping[str, Any] = field(default_factory=dict)
    base: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    members: tuple["TaskSource", ...] = ()
    hub: tuple[HubData, ...] = ()

    @property
    def indexed_as(self) -> str:
        """The task's name in `root`."""
        return self.base or self.name

    @property
    def fixes_zero_shots(self) -> bool:
        """True if the task never uses worked examples, whatever eval.shots says (IFEval, TruthfulQA)."""
        return self.config.get("num_fewshot") == 0

    @property
    def kind(self) -> str | None:
        """The kind of answer extracted from responses; None if responses commit to no answer."""
        return self.metadata.get("answers")

    @property
    def generates(self) -> bool:
        """True if the model generates text; False if it scores the likelihood of given texts."""
        return self.config.get("output_type") == "generate_until"

    def key(self) -> dict[str, Any]:
        """What decides the items and their scoring, equal on every machine: the configuration, and contents of the
        files or revisions of the hub's data sets.
        """
        data = {split: [sha256(path) for path in paths] for split, paths in self.files.items()}
        key = {"name": self.name, "definition": self.definition, "data": data}
        if self.members:
            return {**key, "members": [member.key() for member in self.members]}
        if self.hub and not self.files:
            return {**key, "hub": {str(one): one.revision() for one in self.hub}}
        return key

    def items_key(self) -> dict[str, Any]:
        """What decides the items alone, without how responses are drawn, read and counted."""
        key = self.key()
        return {**key, "definition": _without_scoring(key["definition"])}


def _without_scoring(definition: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: _without_scoring(value) if isinstance(value, Mapping) else value
        for name, value in definition.items()
        if name not in SCORING
    }


def read_yaml(file: Path) -> dict[str, Any]:
    """A task's YAML with its includes; `!function utils.f` becomes the text of an absolute path, /tasks/utils.f."""

    class Loader(yaml.SafeLoader):
        pass

    Loader.add_constructor("!function", lambda _, node: str(file.parent.resolve() / str(node.value)))
    try:
        config = yaml.load(file.read_text(encoding="utf-8"), Loader)
    except yaml.YAMLError as error:
        raise UserError(f"{file} is not valid YAML: {' '.join(str(error).split())}") from None
    except UnicodeDecodeError:
        raise UserError(f"{file} is not UTF-8; save it as UTF-8") from None
    except OSError as error:
        raise UserError(f"{file} cannot be read ({error.strerror}); a task's YAML includes it") from None
    if not isinstance(config, dict):
        raise UserError(f"{file} is not a task: it has no keys")
    includes = config.pop("include", [])
    for include in reversed([includes] if isinstance(includes, str) else includes):
        config = {**read_yaml(file.parent / include), **config}
    return config


def data_files(config: Mapping[str, Any], folder: Path) -> Iterator[tuple[str, tuple[Path, ...]]]:
    """`data_files: {test: data/x.jsonl}` as absolute paths by split."""
    files = (config.get("dataset_kwargs") or {}).get("data_files") or {}
    if not isinstance(files, Mapping):
        files = {"train": files}  # as `datasets` reads a bare path
    for split, paths in files.items():
        named = [paths] if isinstance(paths, str) else paths
        yield split, tuple((folder / path).absolute() for path in named)


def portable(value: Any, root: Path) -> Any:
    """A configuration without machine paths: `!function utils.f`, here an absolute path, becomes its module's hash."""
    if isinstance(value, Mapping):
        return {str(name): portable(item, root) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [portable(item, root) for item in value]
    if isinstance(value, str) and value.startswith(f"{root}{os.sep}"):
        module = Path(value).with_suffix(".py")  # /tasks/utils.process_docs -> /tasks/utils.py
        return [str(Path(value).relative_to(root)), sha256(module) if module.exists() else ""]
    return value


def sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
