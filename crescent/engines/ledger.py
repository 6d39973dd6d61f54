"""The draw ledger: every completion ever paid for, appended and never rewritten.

In: asks (an id, a draw, a prompt), an engine, how to sample. Out: one Solution for each ask, generated only where no
earlier run has done so. A ledger is keyed by what decides a completion (engine identity, prompt template, sampling with
its seed); within it a row is named by (id, draw). Nine draws therefore extend five, and runs with different dedup share
the questions they have in common. Answers are not in it: they are extracted at vote time.

    <store>/ledgers/<key>/rows.jsonl    one Solution a line
    <store>/ledgers/<key>/about.json    what the key was made from, for people
    <store>/work/ledgers/<key>.jsonl    what is finished of the chunk that is being generated (see `engines/journal.py`)
"""

import json
import logging
import os
from collections.abc import Sequence
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
COMMIT_EVERY = 512  # completions between two commits, unless the engine has an preferred_batch for more


def ledger_key(engine: str, template: str, sampling: Sampling) -> Key:
    """What decides the completions of a ledger; `engine` is the identity of the engine."""
    return Key("ledger", VERSION, _about(template, sampling), (engine,))


def _about(template: str, sampling: Sampling) -> dict[str, Any]:
    return {"template": template, "sampling": canonical(sampling)}


@dataclass(frozen=True, slots=True)
class Ask:
    """One completion wanted: draw `draw` of the prompt that `id` names."""

    id: str
    draw: int
    text: str


@dataclass(frozen=True, slots=True)
class Drawn:
    """The answer to a list of asks, in their order; `reused` rows were there before."""

    rows: list[Solution]
    reused: int
    generated_tokens: int


@dataclass(slots=True)
class Ledger:
    """One ledger of a store. `template` names the prompt that ids are put into."""

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
        """Where the rows are."""
        return self.store.root / "ledgers" / self.key

    def complete(self, asks: Sequence[Ask], tally: Tally | None = None) -> Drawn:
        """All asks answered, in order; what is missing is generated and committed chunk by chunk.

        The lock is taken anew for each chunk, so that parallel runs take turns and never do a row twice. Rows are in
        the order asked whatever the size of chunks, so that size changes no byte.
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
        with open(self.folder / "rows.jsonl", "ab") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        self._rows.update({(row.question_id, row.draw): row for row in rows})
        self._read_bytes += len(data)

    def _refresh(self, repair: bool = False) -> None:
        """Reads what was appended since the last look. A torn last line (a killed writer) is cut off by `repair`.

        A damaged line in the middle is named and left out: that row is generated again.
        """
        path = self.folder / "rows.jsonl"
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
                    "%s: line %d after byte %d is damaged; its draw is made again", path, number, self._read_bytes
                )
                continue
            self._rows[row.question_id, row.draw] = row
        self._read_bytes += len(whole)
        if repair and len(whole) < len(data):
            os.truncate(path, self._read_bytes)
