"""The draw ledger: every completion ever generated, appended and never rewritten.

In: asks (an id, a draw, a prompt), an engine, sampling. Out: one Solution per ask, generated only if no earlier run has
done so. A ledger's key contains everything that determines a completion (engine identity, prompt template, sampling
with its seed); within a ledger, (id, draw) identifies a row. So 9 draws extend 5, and runs with different dedup share
their common questions. Answers are not stored: they are extracted when voting.

    <store>/ledgers/<key>/rows.jsonl    one Solution per line
    <store>/ledgers/<key>/about.json    what the key was made from, for people
    <store>/work/ledgers/<key>.jsonl    finished completions of the chunk being generated (see `engines/journal.py`)
"""

import json
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crescent.core.context import EngineHandle
from crescent.core.progress import Tally
from crescent.core.records import Solution, decode, encode
from crescent.core.store import Key, Store, canonical, write_atomic
from crescent.engines import Completion, Prompt, Sampling
from crescent.engines.journal import Journal

log = logging.getLogger(__name__)
VERSION = 2
ROWS = "rows.jsonl"
COMMIT_EVERY = 512  # completions between two commits, unless the engine has a larger preferred_batch


def ledger_key(engine: str, template: str, sampling: Sampling) -> Key:
    """Key of a ledger; `engine` is the engine's identity."""
    return Key("ledger", VERSION, _about(template, sampling), (engine,))


def _about(template: str, sampling: Sampling) -> dict[str, Any]:
    return {"template": template, "sampling": canonical(sampling)}


@dataclass(frozen=True, slots=True)
class Ask:
    """A request for one completion: draw `draw` of the prompt named `id`."""

    id: str
    draw: int
    text: str


@dataclass(frozen=True, slots=True)
class Drawn:
    """The solutions for a list of asks, in the same order; `reused` of them were in the ledger already."""

    rows: list[Solution]
    reused: int
    generated_tokens: int


@dataclass(slots=True)
class Ledger:
    """One ledger of a store. `template` identifies the prompt template that questions are inserted into."""

    store: Store
    engine: EngineHandle
    template: str
    sampling: Sampling
    key: str = field(init=False)
    _rows: dict[tuple[str, int], Solution] = field(init=False, default_factory=dict)
    _read_bytes: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self.key = ledger_key(self.engine.identity, self.template, self.sampling).digest

    @property
    def folder(self) -> Path:
        """The folder with the rows."""
        return self.store.root / "ledgers" / self.key

    def complete(self, asks: Sequence[Ask], tally: Tally | None = None) -> Drawn:
        """Returns a solution for every ask, in order; missing ones are generated and committed chunk by chunk.

        The lock is taken again for each chunk, so parallel runs take turns and never generate a row twice. Rows are
        written in the order of the asks, so the chunk size changes no byte.
        """
        self._refresh()
        missing = [ask for ask in asks if (ask.id, ask.draw) not in self._rows]
        reused, tokens = len(asks) - len(missing), 0
        if tally is not None and reused:
            tally.advance(reused)
        size = max(COMMIT_EVERY, self.engine.preferred_batch)
        for start in range(0, len(missing), size):
            chunk = missing[start : start + size]
            with self.store.lock(f"ledger-{self.key}"):
                self._refresh(repair=True)
                mine = [ask for ask in chunk if (ask.id, ask.draw) not in self._rows]
                reused += len(chunk) - len(mine)
                if tally is not None and len(mine) < len(chunk):
                    tally.advance(len(chunk) - len(mine))
                tokens += self._generate(mine, tally)
        return Drawn([self._rows[ask.id, ask.draw] for ask in asks], reused, tokens)

    def _about(self) -> dict[str, Any]:
        return _about(self.template, self.sampling)

    def _generate(self, asks: Sequence[Ask], tally: Tally | None) -> int:
        if not asks:
            return 0

        def finished(_index: int, _made: Completion) -> None:
            if tally is not None:
                tally.complete()
                tally.advance()

        prompts = [Prompt(ask.text, ask.draw) for ask in asks]
        journal = Journal(self.store.root / "work" / "ledgers" / f"{self.key}.jsonl")
        completions = journal.generate(self.engine.get, prompts, self.sampling, finished)
        rows = [
            Solution(ask.id, ask.draw, made.text, made.finish_reason, made.new_tokens, made.mean_logprob)
            for ask, made in zip(asks, completions, strict=True)
        ]
        self._append(rows)
        journal.clear()
        return sum(row.new_tokens for row in rows)

    def _append(self, rows: Sequence[Solution]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if not (self.folder / "about.json").exists():
            about = {**self._about(), "engine": self.engine.identity, "version": VERSION}
            write_atomic(self.folder / "about.json", json.dumps(about, indent=1, ensure_ascii=False) + "\n")
        data = "".join(encode(row) + "\n" for row in rows).encode("utf-8", "surrogatepass")
        with open(self.folder / ROWS, "ab") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        self._rows.update({(row.question_id, row.draw): row for row in rows})
        self._read_bytes += len(data)

    def _refresh(self, repair: bool = False) -> None:
        """Reads rows appended since the last call. `repair` truncates a torn last line (of a killed writer).

        A damaged line in the middle is logged and skipped: that row is generated again.
        """
        path = self.folder / ROWS
        if not path.exists():
            return
        with open(path, "rb") as file:
            file.seek(self._read_bytes)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        for number, line in enumerate(whole.splitlines()):
            try:
                row = decode(Solution, json.loads(line))
            except (ValueError, AttributeError):
                log.warning(
                    "%s: line %d after byte %d is damaged; its draw is generated again", path, number, self._read_bytes
                )
                continue
            self._rows[row.question_id, row.draw] = row
        self._read_bytes += len(whole)
        if repair and len(whole) < len(data):
            os.truncate(path, self._read_bytes)


def stored_rows(folder: Path) -> Iterator[Solution]:
    """The rows of a ledger's folder; damaged lines are skipped."""
    with open(folder / ROWS, "rb") as lines:
        for line in lines:
            try:
                yield decode(Solution, json.loads(line))
            except (ValueError, AttributeError):
                continue
