"""Write-ahead log of finished completions for uncommitted batches, written one by one.

In: an engine, prompts, sampling. Out: the completions; only those missing in the file are generated. A chunk of a large
model takes minutes: if the process dies midway, finished completions are read from here when the same chunk is
requested again. The caller that commits the completions then removes their rows. Other kinds of rows can be kept in the
same way (`RowWriter`, `read_rows`; evaluation/loglikelihood_journal.py).

One JSON object per line; `key` identifies prompt, draw and sampling, the rest is the completion:
    {"key": "0f…", "text": "…", "finish_reason": "stop", "prompt_tokens": 40, "new_tokens": 61, "mean_logprob": -0.31}
"""

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from crescent.core.store import make_key, write_atomic
from crescent.engines import Completion, Engine, Finished, Prompt, Sampling

SECONDS_BETWEEN_SYNCS = 5.0  # a killed process loses nothing written; a power failure loses this much


@dataclass(frozen=True, slots=True)
class Journal:
    """The journal in the file `path`. Only one process may use it at a time: callers hold the lock of what they
    build."""

    path: Path

    def generate(
        self,
        engine: Callable[[], Engine],
        prompts: Sequence[Prompt | str],
        sampling: Sampling,
        finished: Finished | None = None,
    ) -> list[Completion]:
        """Returns one completion per prompt, in order; `engine` is called only if one is missing.

        `finished` is called for journaled completions too.
        """
        keys, kept = _keys(prompts, sampling), self._read()
        made: list[Completion | None] = [kept.get(key) for key in keys]
        for index, completion in enumerate(made):
            if completion is not None and finished is not None:
                finished(index, completion)
        missing = [index for index, completion in enumerate(made) if completion is None]
        if missing:
            with RowWriter(self.path) as writer:

                def keep(place: int, completion: Completion) -> None:
                    writer.append(keys[missing[place]], asdict(completion))
                    if finished is not None:
                        finished(missing[place], completion)

                fresh = engine().generate([prompts[index] for index in missing], sampling, keep)
            for index, completion in zip(missing, fresh, strict=True):
                made[index] = completion
        return [completion for completion in made if completion is not None]

    def find(self, prompts: Sequence[Prompt | str], sampling: Sampling) -> list[Completion] | None:
        """Returns the completions if all of them are in the journal, else None."""
        kept = self._read()
        found = [kept.get(key) for key in _keys(prompts, sampling)]
        return None if None in found else [completion for completion in found if completion is not None]

    def forget(self, prompts: Sequence[Prompt | str], sampling: Sampling) -> None:
        """Removes rows that are committed; deletes the file if none are left."""
        if not self.path.exists():
            return
        gone = set(_keys(prompts, sampling))
        left = {key: completion for key, completion in self._read().items() if key not in gone}
        if left:
            write_atomic(self.path, "".join(_line(key, asdict(completion)) for key, completion in left.items()))
        else:
            self.path.unlink()

    def clear(self) -> None:
        """Removes all rows."""
        self.path.unlink(missing_ok=True)

    def _read(self) -> dict[str, Completion]:
        """All intact rows. Damaged rows are generated again."""
        kept = {}
        for key, fields in read_rows(self.path).items():
            with suppress(TypeError):
                kept[key] = Completion(**fields)
        return kept


class JournaledEngine:
    """An engine for evaluation whose `generate` goes through a journal. All else is the engine's own."""

    def __init__(self, engine: Any, journal: Journal) -> None:
        self.deterministic, self.identity = engine.deterministic, engine.identity
        self._engine, self._journal = engine, journal

    def __getattr__(self, name: str) -> Any:
        """`tokenizer`, `config`, and what an engine in this process has: `model`."""
        return getattr(self._engine, name)

    def generate(
        self, prompts: Sequence[Prompt | str], sampling: Sampling, finished: Finished | None = None
    ) -> list[Completion]:
        """See `Engine.generate`."""
        return self._journal.generate(lambda: self._engine, prompts, sampling, finished)

    def close(self) -> None:
        """Closes the engine."""
        self._engine.close()


class RowWriter:
    """Appends rows. A torn last line, left by a killed writer, is terminated first so that it damages no other row."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = open(path, "ab")  # noqa: SIM115 - closed by __exit__
        self._synced = time.monotonic()
        if self._file.tell() and not path.read_bytes().endswith(b"\n"):
            self._file.write(b"\n")
            self._file.flush()

    def append(self, key: str, fields: Mapping[str, Any]) -> None:
        self._file.write(_line(key, fields).encode())
        self._file.flush()
        if time.monotonic() - self._synced > SECONDS_BETWEEN_SYNCS:
            os.fsync(self._file.fileno())
            self._synced = time.monotonic()

    def __enter__(self) -> "RowWriter":
        return self

    def __exit__(self, *exc: object) -> None:
        with self._file:
            os.fsync(self._file.fileno())


def read_rows(path: Path) -> dict[str, dict[str, Any]]:
    """Returns the fields of all intact rows by key; damaged rows are skipped."""
    rows = {}
    for line in path.read_bytes().splitlines() if path.exists() else ():
        with suppress(ValueError, TypeError, KeyError, AttributeError):
            fields = json.loads(line)
            rows[fields.pop("key")] = fields
    return rows


def _line(key: str, fields: Mapping[str, Any]) -> str:
    return json.dumps({"key": key, **fields}) + "\n"


def _keys(prompts: Sequence[Prompt | str], sampling: Sampling) -> list[str]:
    """A key for each requested completion: equal prompts in one list are distinguished by a running number."""
    settings, seen = make_key("sampling", 1, sampling), Counter()
    keys = []
    for prompt in prompts:
        asked = Prompt(prompt) if isinstance(prompt, str) else prompt
        seen[asked] += 1
        parts = {"text": asked.text, "draw": asked.draw, "rendered": asked.rendered, "nth": seen[asked]}
        keys.append(make_key("completion", 1, parts, [settings]))
    return keys
