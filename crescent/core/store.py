"""Content-addressed artifacts on disk: keys, locks, atomic commit, resume.

In: a `Key` (a stage's name, version, settings and the keys of its inputs) and a builder. Out: an `Artifact`, built only
once.

    <root>/artifacts/<stage>/<key>/   records.jsonl, other files, meta.json (written last: its existence means complete)
    <root>/work/<stage>/<key>/        what a builder keeps between attempts (checkpoints); removed at commit
    <root>/ledgers/<key>/             append-only draws, see `ledger.py`
    <root>/locks/                     one lock file for each thing that can be built

Any number of processes may share the root. Nothing here knows what a stage does. meta.json contains no times, host
names or paths, so equal runs write equal bytes.
"""

import dataclasses
import hashlib
import json
import logging
import math
import os
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock, Timeout

from crescent.core.records import Record, decode_lines, encode

log = logging.getLogger(__name__)
R = TypeVar("R", bound=Record)
RECORDS = "records.jsonl"
META = "meta.json"


def canonical(value: Any) -> Any:
    """`value` as JSON, identical for equal values on every machine. Raises TypeError if it has no such form."""
    if isinstance(value, Enum):
        return canonical(value.value)
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise TypeError(f"{value} cannot be part of a key: only finite numbers can")
        return int(value) if value.is_integer() else value  # 1 and 1.0 are the same setting
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {**_class_in_key(type(value)), **_fields_in_key(value)}
    if isinstance(value, Mapping):
        if not all(isinstance(name, str) for name in value):
            raise TypeError("a mapping in a key needs names that are text")
        return {name: canonical(value[name]) for name in sorted(value)}
    if isinstance(value, list | tuple):
        return [canonical(item) for item in value]
    raise TypeError(f"a {type(value).__name__} cannot be part of a key: it has no stable form")


def not_in_key(**options: Any) -> Any:
    """A dataclass field that cannot change a result (batch size, logging), so it is left out of keys."""
    return field(metadata={"key": False}, **options)


def internal(**options: Any) -> Any:
    """A dataclass field that a run sets itself: not a setting, and not in any configuration."""
    return field(metadata={"internal": True}, **options)


_SAME = object()


def omit_from_key_at(neutral: Any, default: Any = _SAME, internal: bool = False) -> Any:
    """A dataclass field added in a later release: left out of keys at its `neutral` value, which is the behaviour
    before the field existed, so earlier results are still found. The default is `neutral` unless given. `internal`: as
    in `internal()`.
    """
    return field(default=neutral if default is _SAME else default, metadata={"omit_at": neutral, "internal": internal})


def renamed_in_key(name: str, values: Mapping[Any, Any] | None = None, **options: Any) -> Any:
    """A renamed dataclass field: keys keep its old `name`, and old values as `values` maps them (new: old)."""
    return field(metadata={"key_name": name, "key_values": dict(values or {})}, **options)


@dataclass(frozen=True, slots=True)
class Key:
    """Everything that decides an artifact: stage, version, settings, and the keys of its inputs."""

    stage: str
    version: int
    settings: Any
    inputs: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """The hash that names the artifact's folder."""
        return make_key(self.stage, self.version, self.settings, self.inputs)


def make_key(stage: str, version: int, settings: Any, inputs: Sequence[str] = ()) -> str:
    """24 hexadecimal digits of sha256 over everything that decides a result."""
    parts = {"stage": stage, "version": version, "settings": canonical(settings), "inputs": list(inputs)}
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


@dataclass(frozen=True, slots=True)
class Artifact:
    """A committed artifact. `info` holds its counters, equal in equal runs; `reused` is False if this run built it."""

    stage: str
    key: str
    path: Path
    records: int
    info: Mapping[str, Any]
    reused: bool

    def read(self, kind: type[R]) -> list[R]:
        return list(self.stream(kind))

    def stream(self, kind: type[R], file: str = RECORDS) -> Iterator[R]:
        """The records of one of its files, one by one."""
        with open(self.path / file, encoding="utf-8") as lines:
            yield from decode_lines(kind, lines)


@dataclass(slots=True)
class Outcome:
    """What a builder returns: records, counters that describe them, and files to move into the artifact. `records` may
    be made one by one as they are written, and fill `info` and `files` meanwhile.
    """

    records: Iterable[Record] = ()
    info: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)


Builder = Callable[[Path], Outcome]
"""Called with a scratch folder that survives a kill; it may contain files of an earlier attempt."""


@dataclass(frozen=True, slots=True)
class Store:
    """All artifacts below one folder."""

    root: Path

    def build(self, key: Key, builder: Builder) -> Artifact:
        """Opens the artifact of this key if it is complete; else builds it, in one process at a time."""
        stage, digest = key.stage, key.digest
        found = self.open(stage, digest)
        if found is not None:
            return found
        with self.lock(f"{stage}-{digest}"):
            found = self.open(stage, digest)  # another process may have built it while this one waited
            if found is not None:
                return found
            work = self.root / "work" / stage / digest
            work.mkdir(parents=True, exist_ok=True)
            outcome = builder(work)
            made_from = {"settings": canonical(key.settings), "inputs": list(key.inputs)}
            meta = {"stage": stage, "version": key.version, "key": digest, **made_from}
            artifact = self._commit(work, meta, outcome)
            shutil.rmtree(work, ignore_errors=True)
            return artifact

    def open(self, stage: str, key: str) -> Artifact | None:
        """The committed artifact, or None. A damaged artifact is set aside with a warning, and None is returned."""
        path = self.root / "artifacts" / stage / key
        if not (path / META).exists():
            return None
        fault, meta = None, {}
        try:
            meta = json.loads((path / META).read_text(encoding="utf-8"))
            for name, seen in meta["files"].items():
                file = path / name
                if not file.exists():
                    fault = f"{name} is missing"
                elif file.stat().st_size != seen["bytes"]:
                    fault = f"{name} has {file.stat().st_size} bytes instead of {seen['bytes']}"
                elif _sha256(file) != seen["sha256"]:
                    fault = f"{name} does not have the bytes it was committed with"
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            fault = f"{META} cannot be read ({error})"
        if fault is None:
            return Artifact(stage, key, path, meta["records"], meta["info"], reused=True)
        aside = _free_name(path.with_name(f"{key}.damaged"))
        path.rename(aside)
        log.warning("%s: %s. Set aside as %s and rebuilt.", path, fault, aside.name)
        return None

    def lock(self, name: str) -> "Lock":
        """A lock between processes; logs one line if another process holds it."""
        folder = self.root / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        return Lock(folder / f"{name}.lock")

    def _commit(self, work: Path, meta: dict[str, Any], outcome: Outcome) -> Artifact:
        path = self.root / "artifacts" / meta["stage"] / meta["key"]
        if path.exists():  # left by an attempt that was killed before meta.json; everything in it is rebuilt here
            shutil.rmtree(path)
        path.mkdir(parents=True)
        count = 0
        with open(path / RECORDS, "w", encoding="utf-8") as file:
            for record in outcome.records:
                file.write(encode(record) + "\n")
                count += 1
            _flush(file)
        for name, source in outcome.files.items():
            shutil.move(source, path / name)
        files = {
            str(file.relative_to(path)): {"bytes": file.stat().st_size, "sha256": _sha256(file)}
            for file in sorted(path.rglob("*"))
            if file.is_file()
        }
        write_atomic(
            path / META,
            json.dumps({**meta, "records": count, "info": dict(outcome.info), "files": files}, indent=1) + "\n",
        )
        return Artifact(meta["stage"], meta["key"], path, count, dict(outcome.info), reused=False)


class Lock:
    """`with lock:` waits for other processes; logs the wait once."""

    def __init__(self, path: Path) -> None:
        self._lock = FileLock(path)

    def __enter__(self) -> "Lock":
        try:
            self._lock.acquire(timeout=1)
        except Timeout:
            log.info("another run is building %s; waiting for it", Path(self._lock.lock_file).stem)
            self._lock.acquire()
        return self

    def __exit__(self, *exc: object) -> None:
        self._lock.release()


def write_atomic(path: Path, text: str) -> None:
    """Writes so that `path` holds either its old content or all of `text`, even if killed or with other writers."""
    temporary = path.with_name(f".{path.name}-{os.getpid()}-{threading.get_ident()}.tmp")
    try:
        with open(temporary, "w", encoding="utf-8") as file:
            file.write(text)
            _flush(file)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _class_in_key(kind: type) -> dict[str, Any]:
    """The class's identity in a key: its KEY, which a renamed class keeps (default: the class name inside Crescent, the
    full path elsewhere), and its VERSION, raised when equal settings would give other results.

    A stage's version (a stage has a NAME) is already in `make_key`.
    """
    outside = kind.__module__.partition(".")[0] != "crescent"
    name = kind.__dict__.get("KEY") or (f"{kind.__module__}.{kind.__qualname__}" if outside else kind.__name__)
    version = None if hasattr(kind, "NAME") else getattr(kind, "VERSION", None)
    return {"class": name} if version is None else {"class": name, "version": version}


def _fields_in_key(owner: Any) -> dict[str, Any]:
    found = {}
    for one in dataclasses.fields(owner):
        value, about = getattr(owner, one.name), one.metadata
        if about.get("key", True) and not ("omit_at" in about and value == about["omit_at"]):
            old_values = about.get("key_values")
            found[about.get("key_name", one.name)] = canonical(old_values.get(value, value) if old_values else value)
    return found


def _flush(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _free_name(path: Path) -> Path:
    number = 1
    while (aside := path.with_name(f"{path.name}-{number}")).exists():
        number += 1
    return aside
