"""Deletes what no kept run needs.

In: the root of a store, and run folders to keep. Out: what is, or would be, deleted. An item is first moved to the
store's trash/ by one rename per folder, then deleted there: a kill leaves whole items and some trash, which the next
call deletes. Refused while a run is at work; a run that starts meanwhile waits.
"""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from crescent.core.errors import UserError
from crescent.core.use import exclusively
from crescent.housekeeping.contents import TRASH, Item, contents
from crescent.housekeeping.references import needed, runs_below


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be deleted, what stays, and the kept runs that have not finished."""

    unused: list[Item]
    kept: list[Item]
    runs: int
    unfinished: list[Path]


def plan(root: Path, keep: Sequence[Path]) -> Plan:
    """Raises UserError if there is no run to keep: nearly always a wrong path."""
    runs, items = runs_below(keep), contents(root)
    if not runs:
        raise UserError(
            f"there is no run in {', '.join(map(str, keep)) or 'the current folder'}, so everything in {root} would be "
            f"deleted; name the folders of the runs to keep, as in --keep-runs outputs multirun (to delete the whole "
            f"store: rm -r {root})"
        )
    found = needed(items, runs)
    unused = [item for item, by in zip(items, found.by, strict=True) if not by]
    kept = [item for item, by in zip(items, found.by, strict=True) if by]
    return Plan(unused, kept, len(runs), found.unfinished)


def prune(root: Path, keep: Sequence[Path], deleted: Callable[[Item], None] = lambda item: None) -> Plan:
    """Deletes what `plan` finds; `deleted` is called after each item. Raises UserError if a run is at work."""
    with exclusively(root) as users:
        if users:
            raise UserError(
                f"{root} is in use by a run ({', '.join(users)}), and what it needs is known only when it ends; "
                "nothing was deleted: run this again then"
            )
        made = plan(root, keep)  # after the lock: a run may just have ended
        _empty(root / TRASH)
        for item in made.unused:
            if _delete(root, item):
                deleted(item)
    return made


def _delete(root: Path, item: Item) -> bool:
    """False if a process that is no run of the command is building it."""
    trash = root / TRASH / f"{item.stage}-{item.key}"
    with _locked(root, item.lock) as free:
        for number, path in enumerate(item.paths if free else ()):
            with _locked(root, f"{item.stage}-{path.name}") if len(item.paths) > 1 else nullcontext(True) as is_free:
                if is_free:
                    trash.mkdir(parents=True, exist_ok=True)
                    os.replace(path, trash / str(number))
        _empty(root / TRASH)
    return free


@contextmanager
def _locked(root: Path, name: str) -> Iterator[bool]:
    """Yields whether the lock was free; it is held inside."""
    lock = FileLock(root / "locks" / f"{name}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def _empty(trash: Path) -> None:
    if trash.exists():
        shutil.rmtree(trash)
