"""Checks the data of tasks before any model is loaded.

In: task sources. Out: nothing, or a UserError of one line with the file, the line and a suggested fix. Local files are
read to the end; for a hub data set only its availability is checked.
"""

import importlib.util
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined, TemplateError, UndefinedError

from crescent.core.errors import UserError
from crescent.core.utf8_lines import utf8_lines
from crescent.evaluation import hub
from crescent.evaluation.catalogue import reads_files
from crescent.evaluation.settings import EvaluationSettings
from crescent.evaluation.task_config import TaskSource

Row = dict[str, Any]
EQUALITIES = ("canonical", "symbolic")  # of answers; see crescent.answers.symbolic
TEMPLATES = ("doc_to_text", "doc_to_target", "doc_to_choice")


def check_files(source: TaskSource, settings: EvaluationSettings) -> None:
    """Raises UserError for a missing, empty or broken file, a missing field, or too few few-shot examples."""
    rows: dict[str, int] = {}
    for split, paths in source.files.items():
        rows[split] = 0
        for path in paths:
            if not path.is_file():
                raise UserError(_missing(source.name, path, settings))
            rows[split] += _check_file(source, path)
    most = max(settings.shots, default=0)
    split = source.config.get("fewshot_split") or source.config.get("training_split")
    if not source.fixes_zero_shots and split in rows and rows[split] < most:
        files = ", ".join(map(str, source.files[split]))
        raise UserError(f"task {source.name}: {files} holds {rows[split]} examples, but eval.shots asks for {most}")


def check_shots(source: TaskSource, settings: EvaluationSettings) -> None:
    """Raises UserError if the task's YAML has fewer worked examples than eval.shots asks for, or disables its own."""
    written = (source.config.get("fewshot_config") or {}).get("samples")
    most = max(settings.shots, default=0)
    if source.files and source.fixes_zero_shots and source.config.get("fewshot_split") and most:
        raise UserError(
            f"task {source.name} names a fewshot_split, but `num_fewshot: 0` makes the harness ignore eval.shots; "
            "remove num_fewshot from its YAML"
        )
    if isinstance(written, list) and not source.fixes_zero_shots and most > len(written):
        raise UserError(f"task {source.name} has {len(written)} worked examples, but eval.shots asks for {most}")


def check_hub(source: TaskSource, settings: EvaluationSettings) -> None:
    """Raises UserError if the cache lacks a data set in the required configuration and the hub does not answer."""
    absent = {data.path: data for data in source.hub if data.cached() is None}
    for path, data in absent.items():
        try:
            hub.ask(path)
        except Exception as error:  # the hub's client raises many different classes
            reason = str(error).strip().splitlines()[0].rstrip(".")
            raise UserError(
                f"task {source.name}: data set {data} is not on this machine and the hub did not give it ({reason}). "
                + _to_fetch(source.name, settings)
            ) from error


def _to_fetch(task: str, settings: EvaluationSettings) -> str:
    """The suggested fix: how to get a task's data for a machine without a network."""
    if reads_files(task, settings):
        command = f"crescent-data eval={settings.name} 'eval.tasks=[{task}]' --mirror FOLDER"
        return f"Fetch it where there is a network and copy it: `{command}`."
    copy = "Load it once where there is a network, and copy the cache of datasets (HF_HOME)"
    return f"{copy}: no overlay reads it from files."


def has_nltk(resource: str) -> bool:
    """True if this machine has an nltk resource, such as tokenizers/punkt_tab."""
    import nltk  # a dependency of the harness

    try:
        nltk.data.find(resource)
    except LookupError:
        return False
    return True


def check_nltk(source: TaskSource) -> None:
    """Raises UserError if nltk data that the task's code needs are missing: it would try to download them while
    scoring.
    """
    resource = source.metadata.get("nltk")
    if resource is not None and not has_nltk(resource):
        raise UserError(
            f"task {source.name}: nltk has no {resource} on this machine. Fetch it where there is a network "
            f"(`python -m nltk.downloader {Path(resource).name}`), or copy that folder and set NLTK_DATA"
        )


def check_equality(source: TaskSource) -> None:
    """Raises UserError for an unknown equality of answers, and for symbolic equality without math-verify."""
    equality = source.metadata.get("equality", "canonical")
    if equality not in EQUALITIES:
        raise UserError(f"task {source.name}: metadata.equality is {equality!r}; it may be {' or '.join(EQUALITIES)}")
    if equality == "symbolic" and not importlib.util.find_spec("math_verify"):
        raise UserError(f"task {source.name} needs math-verify to compare answers: pip install 'crescent-lm[symbolic]'")


def check_functions(source: TaskSource) -> None:
    """Raises UserError if the Python modules of a task's YAML cannot be imported (IFEval needs extra packages)."""
    for module in sorted(set(_modules(source.config, source.root.resolve()))):
        spec = importlib.util.spec_from_file_location(f"_crescent_check_{module.stem}", module)
        assert spec is not None and spec.loader is not None, module
        try:
            spec.loader.exec_module(importlib.util.module_from_spec(spec))
        except Exception as error:  # whatever the task's own code raises here, it would raise again after the training
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise UserError(
                f"task {source.name}: {module.name} cannot be imported ({reason}). "
                "Install what it needs (`pip install 'crescent-lm[ifeval]'` for ifeval), or leave the task out."
            ) from error


def _modules(value: Any, root: Path) -> Iterator[Path]:
    """Modules of `!function` entries, which `read_yaml` gives as /tasks/ifeval/utils.process_results."""
    if isinstance(value, Mapping | list | tuple):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _modules(item, root)
    elif isinstance(value, str) and value.startswith(f"{root}/") and Path(value).with_suffix(".py").is_file():
        yield Path(value).with_suffix(".py")


def read_rows(path: Path) -> Iterator[tuple[int, Row]]:
    """Yields line numbers and rows of a JSONL file. Raises UserError with file and line for invalid JSON objects."""
    with open(path, "rb") as lines:
        for number, line in utf8_lines(lines, str(path)):
            try:
                row = json.loads(line)
            except ValueError as error:
                raise UserError(f"{path}:{number}: invalid JSON ({error}). Fix or remove the line.") from None
            if not isinstance(row, dict):
                raise UserError(f"{path}:{number}: a {type(row).__name__} instead of a JSON object. Fix the line.")
            yield number, row


def _check_file(source: TaskSource, path: Path) -> int:
    """The number of rows. Of rows with equal fields only the first is checked."""
    count = 0
    seen: set[frozenset[str]] = set()
    for number, row in read_rows(path):
        count += 1
        names = frozenset(row)
        if names not in seen:
            seen.add(names)
            missing = _missing_fields(source, row)
            if missing:
                raise UserError(
                    f"{path}:{number}: task {source.name} needs {', '.join(missing)}; the line has {', '.join(row)}"
                )
    if not count:
        raise UserError(f"task {source.name}: {path} is empty. Write one JSON object per line.")
    return count


def _missing_fields(source: TaskSource, row: Row) -> list[str]:
    """Fields that the task's metadata name and that its templates require, found by rendering with Jinja:
    "{{a if a is defined}}" requires none.
    """
    config = source.config
    named = [field for field in source.metadata.get("fields", ()) if field not in row]
    if "process_docs" in config:
        return named  # the templates see the output of that function, not the row
    environment = Environment(undefined=StrictUndefined)
    environment.filters["regex_replace"] = str  # the harness's filter; only field names matter here
    missing = named
    for template in (config.get(key) for key in TEMPLATES):
        if not isinstance(template, str) or (template.startswith("/") and "{" not in template):
            continue  # a list of choices, a number, or a function of the task
        if "{" not in template:
            missing += [template] if template.isidentifier() and template not in row else []
            continue
        try:
            environment.from_string(template).render(**row)
        except UndefinedError as error:  # "'question' is undefined"
            missing += re.findall(r"'(\w+)' is undefined", str(error)) or [str(error)]
        except TemplateError as error:
            raise UserError(f"task {config['task']}: {template!r} is not a valid Jinja template ({error})") from None
        except (TypeError, ValueError, AttributeError):
            continue  # a field of an unexpected type: left to the harness
    return list(dict.fromkeys(missing))


def _missing(name: str, path: Path, settings: EvaluationSettings) -> str:
    if settings.data is not None and path.is_relative_to(Path(settings.data).absolute()):
        return (
            f"task {name}: there is no file {path}. Put it there, or unset CRESCENT_BENCHMARKS (eval.data) "
            "to read the task from the hub."
        )
    return f"task {name}: there is no file {path}, which its YAML names in dataset_kwargs.data_files"
