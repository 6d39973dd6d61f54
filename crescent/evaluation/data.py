"""The data a suite needs, what is on this machine, and a mirror for a machine without a network.

In: an `EvaluationSettings`. Out: one `Need` per data set, read from the same task YAMLs that scoring reads; files in
the form that `eval.data` (CRESCENT_BENCHMARKS) expects. Scores nothing.
"""

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from crescent.core.errors import UserError
from crescent.core.store import write_atomic
from crescent.evaluation import catalogue
from crescent.evaluation.benchmarks import has_nltk
from crescent.evaluation.hub import HubData
from crescent.evaluation.settings import EvaluationSettings

MANIFEST = "manifest.json"  # in a mirror: where each file came from


@dataclass(frozen=True, slots=True)
class Need:
    """The data of a task, or of one subject of a group.

    `group` is its group, or the task itself. `hub` lists the hub's data sets: none for tasks with their own files,
    several for a group that no overlay splits. `files` maps each split that is read to its path in the folder of local
    files; it is empty if no overlay says how to read the task from files. `rows` maps splits to published sizes, of the
    whole group.
    """

    task: str
    group: str
    hub: tuple[HubData, ...]
    files: Mapping[str, Path]
    rows: Mapping[str, int]
    nltk: str | None = None

    @property
    def missing(self) -> list[Path]:
        """The local files that do not exist."""
        return [path for path in self.files.values() if not path.is_file()]

    @property
    def cached(self) -> bool:
        """True if the hub's data sets are all cached on this machine."""
        return all(data.cached() is not None for data in self.hub)

    @property
    def lacks_nltk(self) -> bool:
        """True if nltk data that the task's code needs are missing."""
        return self.nltk is not None and not has_nltk(self.nltk)

    def there(self, uses_files: bool) -> bool:
        """True if the task can be scored without a network."""
        here = not self.missing if uses_files and self.files else self.cached
        return here and not self.lacks_nltk


def needs(settings: EvaluationSettings, folder: Path) -> list[Need]:
    """The needs of every task, in order, with local files below `folder`. Raises UserError for an unknown name."""
    found = []
    for source in catalogue.find(replace(settings, data=str(folder))):
        for part in source.members or (source,):
            files = {split: path for split, (path, *_) in part.files.items()} if part.hub else {}
            said = source.metadata
            found.append(Need(part.name, source.name, part.hub, files, said.get("rows", {}), said.get("nltk")))
    return found


def mirror(some: list[Need], folder: Path, say: Callable[[str], None]) -> tuple[int, list[str]]:
    """Writes every needed file that is missing in `folder`, from the hub or its cache.

    Returns the number of files written, and one line per task or group with a failure. Files are written atomically.
    """
    written = 0
    failures: dict[str, list[str]] = {}
    for need in some:
        try:
            for split, path in _to_fetch(need).items():
                say(f"{need.task}: {split} of {need.hub[0]} -> {path}")
                count = _fetch(need, split, path)
                origin = {"hub": need.hub[0].path, "config": need.hub[0].config, "split": split, "rows": count}
                _note(folder, path, origin)
                written += 1
        except ValueError as error:
            failures.setdefault(need.group, []).append(str(error))
    more = {group: f" ({len(lines) - 1} more of {group}.)" for group, lines in failures.items() if len(lines) > 1}
    return written, [lines[0] + more.get(group, "") for group, lines in failures.items()]


def _to_fetch(need: Need) -> dict[str, Path]:
    """The splits that a mirror lacks, and their files. Raises UserError if no overlay names the files."""
    if need.hub and not need.files:
        raise UserError(
            f"task {need.task} has no overlay that reads it from files: write one as in crescent/evaluation/tasks, "
            f"or copy the cache of datasets (HF_HOME) that has {need.hub[0].path} in it"
        )
    return {split: path for split, path in need.files.items() if not path.is_file()}


def _fetch(need: Need, split: str, path: Path) -> int:
    import datasets

    (data,) = need.hub
    datasets.disable_progress_bars()
    try:
        rows = datasets.load_dataset(data.path, data.config, split=split)
    except Exception as error:  # the hub's client raises many different classes
        reason = str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else type(error).__name__
        raise UserError(
            f"task {need.task}: {data} cannot be fetched ({reason}). Run this where there is a network; for a gated "
            "data set, log in first (`hf auth login`) with an account that has access."
        ) from error
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}-{os.getpid()}.tmp")
    try:
        rows.to_json(temporary, force_ascii=False)  # type: ignore[union-attr]
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return len(rows)  # type: ignore[arg-type]


def _note(folder: Path, path: Path, origin: Mapping[str, Any]) -> None:
    """Records in the mirror's manifest where a file came from, and its hash."""
    manifest = folder / MANIFEST
    known = json.loads(manifest.read_text(encoding="utf-8")) if manifest.is_file() else {}
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    known[str(path.relative_to(folder))] = {**origin, "sha256": digest}
    write_atomic(manifest, json.dumps(known, indent=1, sort_keys=True) + "\n")


def by_group(some: Sequence[Need]) -> dict[str, list[Need]]:
    """The needs of each task or group, in order."""
    groups: dict[str, list[Need]] = {}
    for need in some:
        groups.setdefault(need.group, []).append(need)
    return groups


def short(parts: Sequence[Need]) -> dict[str, tuple[int, int]]:
    """{split: (rows in a group's files, published rows)} for splits with fewer rows than published, if all files
    exist.
    """
    held: dict[str, int] = {}
    for split, path in (item for part in parts for item in part.files.items()):
        if not path.is_file():
            return {}
        held[split] = held.get(split, 0) + _rows(path)
    published = parts[0].rows
    return {split: (count, published[split]) for split, count in held.items() if count < published.get(split, 0)}


def state(parts: Sequence[Need], uses_files: bool) -> Literal["there", "PARTIAL", "MISSING"]:
    """Whether a group can be scored without a network, and from complete files."""
    if not all(part.there(uses_files) for part in parts):
        return "MISSING"
    return "PARTIAL" if uses_files and short(parts) else "there"


def describe(some: list[Need], folder: Path, uses_files: bool) -> list[str]:
    """Lines for each task or group: whether it is there, where it comes from, its local files below `folder`."""
    lines = []
    for group, parts in by_group(some).items():
        first, count = parts[0], f" ({len(parts)} data sets)" if len(parts) > 1 else ""
        lines.append(f"{group}{count}: {state(parts, uses_files)}")
        if not first.hub:
            lines.append("  comes with its task")
            continue
        rows = ", ".join(f"{split} {count:,}" for split, count in first.rows.items())
        wanted = [data for part in parts for data in part.hub]
        name = first.hub[0] if len(wanted) == 1 else first.hub[0].path
        lines.append(f"  hub    {name}{f'; rows: {rows}' if rows else ''}; {_in_cache(wanted)}")
        lines += _file_lines(parts, folder)
        if first.nltk:
            kept = "missing: python -m nltk.downloader" if first.lacks_nltk else "there;"
            lines.append(f"  nltk   {first.nltk}: {kept} {Path(first.nltk).name}")
    return lines


def _in_cache(wanted: list[HubData]) -> str:
    kept = [folder for folder in (data.cached() for data in wanted) if folder is not None]
    if not kept:
        return "not in the cache"
    if len(kept) < len(wanted):
        return f"{len(kept)} of {len(wanted)} configurations in the cache"
    return f"in the cache, revision {' and '.join(sorted({folder.name for folder in kept}))}"


def _file_lines(parts: list[Need], folder: Path) -> list[str]:
    paths = [path for part in parts for path in part.files.values()]
    if not paths:
        return ["  files  no overlay: from the hub or its cache only"]
    fewer = short(parts)
    if len(parts) == 1:
        return [
            f"  files  {path.relative_to(folder)}: {_size(path, fewer.get(split))}"
            for split, path in parts[0].files.items()
        ]
    missing = [path for path in paths if not path.is_file()]
    first = f"; first missing file: {missing[0].relative_to(folder)}" if missing else ""
    partial = "".join(f"; {split}: {held:,} of {count:,} rows" for split, (held, count) in fewer.items())
    return [f"  files  {len(paths) - len(missing)} of {len(paths)}{first}{partial}"]


def _size(path: Path, fewer: tuple[int, int] | None) -> str:
    if not path.is_file():
        return "missing"
    of = f" of {fewer[1]:,}" if fewer else ""
    return f"{_rows(path):,}{of} rows, {path.stat().st_size / 1e6:.1f} MB"


def _rows(path: Path) -> int:
    with open(path, "rb") as file:
        return sum(1 for line in file if line.strip())
