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
from array import array
from collections.abc import Iterable, Iterator, Sequence
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
TELL_EVERY = 1000  # reused rows between two steps of the progress
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
    """One ledger of a store. `template` identifies the prompt template that questions are inserted into.

    In memory is only where each row is: for each id and draw, the byte at which it begins (-1 if there is none) and its
    new tokens, about 300 bytes for an id with three draws.
    """

    store: Store
    engine: EngineHandle
    template: str
    sampling: Sampling
    key: str = field(init=False)
    _places: dict[str, "array[int]"] = field(init=False, default_factory=dict)
    _read_bytes: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self.key = ledger_key(self.engine.identity, self.template, self.sampling).digest

    @property
    def folder(self) -> Path:
        """The folder with the rows."""
        return self.store.root / "ledgers" / self.key

    def complete(self, asks: Sequence[Ask], tally: Tally | None = None) -> Drawn:
        """Returns a solution for every ask, in order; see `draw`."""
        reused, tokens = self.draw(asks, tally)
        return Drawn(list(self.rows((ask.id, ask.draw) for ask in asks)), reused, tokens)

    def draw(self, asks: Iterable[Ask], tally: Tally | None = None) -> tuple[int, int]:
        """Generates what is missing and commits it chunk by chunk. Returns how many of the asks were in the ledger, and
        the tokens that were generated. `asks` may be made as they are read: one chunk is in memory at a time.

        The lock is taken again for each chunk, so parallel runs take turns and never generate a row twice. Rows are
        written in the order of the asks, so the chunk size changes no byte.
        """
        self._refresh()
        reused = tokens = 0
        for found, chunk in self._missing(asks):
            reused += found
            if tally is not None and found:
                tally.advance(found)
            if not chunk:
                continue
            with self.store.lock(f"ledger-{self.key}"):
                self._refresh(repair=True)
                mine = [ask for ask in chunk if not self._has(ask)]
                reused += len(chunk) - len(mine)
                if tally is not None and len(mine) < len(chunk):
                    tally.advance(len(chunk) - len(mine))
                tokens += self._generate(mine, tally)
        return reused, tokens

    def rows(self, asked: Iterable[tuple[str, int]]) -> Iterator[Solution]:
        """The rows of (id, draw), in order; they must have been drawn. They are read from disk one by one."""
        if not self._places:
            return
        with open(self.folder / "rows.jsonl", "rb") as file:
            for name, draw in asked:
                file.seek(self._places[name][2 * draw])
                yield decode(Solution, json.loads(file.readline()))

    def tokens(self, name: str, draws: int) -> int:
        """New tokens of the first `draws` draws of an id."""
        return sum(self._places[name][1 : 2 * draws : 2]) if draws else 0

    def _missing(self, asks: Iterable[Ask]) -> Iterator[tuple[int, list[Ask]]]:
        """Yields (how many asks are in the ledger, a chunk of asks that are not)."""
        size = max(COMMIT_EVERY, self.engine.preferred_batch)
        found, chunk = 0, list[Ask]()
        for ask in asks:
            if self._has(ask):
                found += 1
            else:
                chunk.append(ask)
            if len(chunk) == size or found == TELL_EVERY:
                full = len(chunk) == size
                yield found, chunk if full else []
                found, chunk = 0, [] if full else chunk
        yield found, chunk

    def _has(self, ask: Ask) -> bool:
        places = self._places.get(ask.id)
        return places is not None and len(places) > 2 * ask.draw and places[2 * ask.draw] >= 0

    def _put(self, row: Solution, place: int) -> None:
        places = self._places.setdefault(row.question_id, array("q"))
        while len(places) <= 2 * row.draw:
            places.extend((-1, 0))
        places[2 * row.draw], places[2 * row.draw + 1] = place, row.new_tokens

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
        lines = [(encode(row) + "\n").encode("utf-8", "surrogatepass") for row in rows]
        with open(self.folder / ROWS, "ab") as file:
            file.writelines(lines)
            file.flush()
            os.fsync(file.fileno())
        for row, line in zip(rows, lines, strict=True):
            self._put(row, self._read_bytes)
            self._read_bytes += len(line)

    def _refresh(self, repair: bool = False) -> None:
        """Reads rows appended since the last call. `repair` truncates a torn last line (of a killed writer).

        A damaged line in the middle is logged and skipped: that row is generated again.
        """
        path = self.folder / ROWS
        if not path.exists():
            return
        start = self._read_bytes
        with open(path, "rb") as file:
            file.seek(start)
            for number, line in enumerate(file):
                if not line.endswith(b"\n"):
                    if repair:
                        os.truncate(path, self._read_bytes)
                    break
                try:
                    self._put(decode(Solution, json.loads(line)), self._read_bytes)
                except (ValueError, AttributeError, TypeError, LookupError, OverflowError):
                    log.warning(
                        "%s: line %d after byte %d is damaged; its draw is generated again", path, number, start
                    )
                self._read_bytes += len(line)


def stored_rows(folder: Path) -> Iterator[Solution]:
    """The rows of a ledger's folder; damaged lines are skipped."""
    with open(folder / ROWS, "rb") as lines:
        for line in lines:
            try:
                yield decode(Solution, json.loads(line))
            except (ValueError, AttributeError):
                continue
