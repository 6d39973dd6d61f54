"""Reads what is in a store.

In: the root of a store. Out: `Item`s: artifacts (the rounds of one elicitation stream are one item), ledgers, kept
embeddings, and unfinished work. Changes nothing.
"""

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crescent.core.errors import UserError
from crescent.core.store import META, make_key

LEDGER, EMBEDDINGS, WORK = "ledger", "embeddings", "work"  # kinds of items that are no stages
COMPLETE, INCOMPLETE, DAMAGED = "", "incomplete", "damaged"
TRASH = "trash"  # folder of a store: what is being deleted
_PARTS = ("artifacts", "ledgers", "embeddings", "work", "locks", "weights.json", TRASH)
_KEY = re.compile(r"[0-9a-f]{24}")


@dataclass(slots=True)
class Item:
    """Something that can be kept or deleted as a whole. `stage` is the stage that made it, or a kind of item.

    `inputs` are the keys that it was made from, `lock` is the name of the lock that is held while it is built, and
    `modified` is in seconds since the epoch. Only a stream of questions has several `paths`: its rounds.
    """

    stage: str
    key: str
    paths: list[Path]
    lock: str
    settings: Any = None
    inputs: frozenset[str] = frozenset()
    records: int = 0
    state: str = COMPLETE
    bytes: int = 0
    modified: float = 0.0


def keys_in(text: str) -> frozenset[str]:
    """Every key that occurs in a text (24 hexadecimal digits, as a word)."""
    return frozenset(re.findall(r"(?<![0-9a-f])[0-9a-f]{24}(?![0-9a-f])", text))


def contents(root: Path) -> list[Item]:
    """All items. Raises UserError if the folder is no store."""
    if not root.is_dir():
        raise UserError(f"there is no store at {root}: name one with --store DIR (or set CRESCENT_STORE)")
    if any(root.iterdir()) and not any((root / part).exists() for part in _PARTS):
        raise UserError(f"{root} is not a store: it has none of artifacts/, ledgers/, work/; name one with --store DIR")
    found = [*_artifacts(root / "artifacts"), *_ledgers(root / "ledgers"), *_embeddings(root), *_work(root / "work")]
    for item in found:
        item.bytes = sum(_size(path) for path in item.paths)
        item.modified = max((_changed(path) for path in item.paths), default=0.0)
    return found


def _artifacts(folder: Path) -> Iterator[Item]:
    streams: dict[str, Item] = {}
    for path in _folders(folder, depth=2):
        stage, name = path.parent.name, path.name
        about = _read(path / META)
        item = Item(stage, name, [path], f"{stage}-{name}")
        if not _KEY.fullmatch(name):
            item.state = DAMAGED
        elif about is None:
            item.state = INCOMPLETE
        else:
            item.settings, item.records = about.get("settings"), about.get("records", 0)
            item.inputs = keys_in(" ".join(map(str, about.get("inputs", ()))))
            if _is_round(item.settings):
                key = make_key(stage, about["version"], item.settings["stage"], about["inputs"])
                stream = streams.setdefault(
                    key, Item(stage, key, [], f"stream-{key}", item.settings["stage"], item.inputs)
                )
                stream.paths.append(path)
                stream.records += item.records
                continue
        yield item
    yield from streams.values()


def _is_round(settings: Any) -> bool:
    return isinstance(settings, Mapping) and settings.keys() == {"shard", "stage"}


def _ledgers(folder: Path) -> Iterator[Item]:
    for path in _folders(folder, depth=1):
        about = _read(path / "about.json") or {}
        inputs = keys_in(str(about.pop("engine", "")))
        about.pop("version", None)
        item = Item(LEDGER, path.name, [path], f"ledger-{path.name}", about, inputs, _lines(path / "rows.jsonl"))
        item.state = COMPLETE if about else INCOMPLETE
        yield item


def _embeddings(root: Path) -> Iterator[Item]:
    for path in _folders(root / "embeddings", depth=1):
        yield Item(EMBEDDINGS, path.name, [path], f"embeddings-{path.name}")


def _work(folder: Path) -> Iterator[Item]:
    """Scratch folders of builders, and journals of ledgers and streams."""
    for group in _folders(folder, depth=1):
        for path in sorted(group.iterdir()):
            kind = {"ledgers": LEDGER, "streams": "stream"}.get(group.name, group.name)
            inputs = frozenset([path.stem])
            yield Item(WORK, path.stem, [path], f"{kind}-{path.stem}", {"of": group.name}, inputs, state=INCOMPLETE)


def _folders(folder: Path, depth: int) -> Iterable[Path]:
    below = [path for path in sorted(folder.iterdir()) if path.is_dir()] if folder.is_dir() else []
    return below if depth == 1 else [path for one in below for path in _folders(one, depth - 1)]


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _lines(path: Path) -> int:
    if not path.exists():
        return 0
    with open(path, "rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(2**20), b""))


def _size(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    if not path.is_dir():
        return path.stat().st_size if path.exists() else 0
    return sum(_size(Path(entry.path)) for entry in os.scandir(path) if not entry.is_symlink())


def _changed(path: Path) -> float:
    """When an artifact was committed, or a folder last changed."""
    meta = path / META
    return (meta if meta.exists() else path).stat().st_mtime if path.exists() else 0.0
