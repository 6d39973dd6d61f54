"""Which items of a store a set of runs needs.

In: run folders, and the items of a store. Out: for each item the runs that refer to it. A run refers to every key that
its summary.json or its configuration contains, to what those items were made from, and to the ledgers that they drew
from. In doubt an item counts as needed.

A run that has not finished lists only the stages it has finished, so more is kept for it: unfinished work, all
questions and draws, everything made since it began, and everything made from nothing but what it refers to.
"""

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crescent.core.errors import UserError
from crescent.housekeeping.contents import EMBEDDINGS, LEDGER, WORK, Item, keys_in
from crescent.reporting.read.runs import FINISHED, PASSED_BY, SUMMARY

HYDRA = ".hydra"
DRAWN = ("elicit", LEDGER, EMBEDDINGS, WORK)


@dataclass(frozen=True, slots=True)
class RunFolder:
    """A run on disk: the keys that it names, and when it began (seconds since the epoch)."""

    folder: Path
    keys: frozenset[str]
    finished: bool
    began: float


@dataclass(slots=True)
class Needed:
    """`by[item]`: the runs that refer to the item of that place; `unfinished` runs keep more than they name."""

    by: list[set[Path]]
    unfinished: list[Path] = field(default_factory=list)


def runs_below(paths: Sequence[Path]) -> list[RunFolder]:
    """All runs at or below `paths`. Raises UserError for a path that does not exist, or a summary that is no JSON."""
    found: dict[Path, RunFolder] = {}
    for path in paths:
        if not path.exists():
            raise UserError(f"there is no folder {path}; name folders of runs, such as outputs or multirun")
        for folder in _run_folders(path):
            found.setdefault(folder.resolve(), _read(folder))
    return list(found.values())


def needed(items: Sequence[Item], runs: Sequence[RunFolder]) -> Needed:
    """Which runs need each item."""
    made = Needed([set() for _ in items])
    texts = [json.dumps(item.settings) for item in items]
    for run in runs:
        kept = _closure(items, texts, set(run.keys), with_descendants=not run.finished)
        for place, item in enumerate(items):
            if item.key in kept or (not run.finished and _may_be_of(item, run)):
                made.by[place].add(run.folder)
        if not run.finished:
            made.unfinished.append(run.folder)
    return made


def _closure(items: Sequence[Item], texts: Sequence[str], keys: set[str], with_descendants: bool) -> set[str]:
    """`keys`, and what their items were made from (engines and embedders too). `texts` are the items' settings."""
    there = {item.key for item in items if item.stage != LEDGER}
    while True:
        before = len(keys)
        named = [text for item, text in zip(items, texts, strict=True) if item.key in keys]
        for item in items:
            if item.key in keys:
                keys |= item.inputs
            elif _drawn_from(item, keys, named) or (with_descendants and _made_from(item, keys, there)):
                keys.add(item.key)
        if len(keys) == before:
            return keys


def _made_from(item: Item, keys: set[str], there: set[str]) -> bool:
    """True if an item is made from nothing `there` but `keys`. All draws of an engine are kept anyway, and lead no
    further.
    """
    return item.stage not in DRAWN and bool(item.inputs & keys) and item.inputs & there <= keys


def _drawn_from(ledger: Item, keys: set[str], named: Sequence[str]) -> bool:
    """True if a needed item may have drawn from this ledger: the same engine, and prompt and sampling are among
    its settings."""
    if ledger.stage != LEDGER:
        return False
    about = ledger.settings or {}
    parts = [json.dumps(about.get(name)) for name in ("template", "sampling")]
    return bool(ledger.inputs & keys) and any(all(part in text for part in parts) for text in named)


def _may_be_of(item: Item, run: RunFolder) -> bool:
    return item.stage in DRAWN or item.modified >= run.began


def _run_folders(path: Path) -> Iterator[Path]:
    for folder, below, files in os.walk(path.parent if path.name == SUMMARY else path, followlinks=True):
        if SUMMARY in files or (HYDRA in below and not _is_check(Path(folder))):
            yield Path(folder)
            below.clear()
        below[:] = sorted(name for name in below if name not in PASSED_BY and not (Path(folder) / name).is_symlink())


def _is_check(folder: Path) -> bool:
    """True for check=true, which runs nothing."""
    file = folder / HYDRA / "config.yaml"
    return file.is_file() and "check: true" in file.read_text(encoding="utf-8").splitlines()


def _read(folder: Path) -> RunFolder:
    began = min((path.stat().st_mtime for path in (folder, *_files(folder))), default=0.0)
    text, finished = "", False
    if (folder / SUMMARY).exists():
        text = (folder / SUMMARY).read_text(encoding="utf-8")
        try:
            summary: Any = json.loads(text)
            finished = summary.get("status", FINISHED) == FINISHED  # early versions recorded no status
        except (ValueError, AttributeError):
            raise UserError(
                f"{folder / SUMMARY} cannot be read, so what its run needs is unknown; repair or delete the folder"
            ) from None
    configuration = "".join(file.read_text(encoding="utf-8") for file in _files(folder))
    return RunFolder(folder, keys_in(text + configuration), finished, began)


def _files(folder: Path) -> Iterable[Path]:
    return sorted((folder / HYDRA).glob("*.yaml"))
