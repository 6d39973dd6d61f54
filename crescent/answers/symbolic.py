"""Symbolic equality of answers, for domains that need it: is 2\\sqrt{2} the same as \\sqrt{8}?

In: canonical answers to one question. Out: a representative for each, the same for equal answers. math-verify decides
in a worker process that is killed after a time limit: it can hang, and its own limits use signals, which threads
cannot. Each pair is compared in both directions (its verdict is not symmetric; one yes suffices), and verdicts are
closed transitively and cached on disk, timeouts included: a result depends on the first machine that computed it, never
on the load of a later one.
"""

import json
import os
import re
import selectors
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

from crescent.answers import equivalent
from crescent.answers.plain import plain
from crescent.answers.quantities import rational
from crescent.answers.tokens import tokens
from crescent.core.errors import UserError

SECONDS = 5.0
_START_SECONDS = 120.0  # for importing a computer algebra system on a busy machine
_WORKER = """
import json, logging, sys
logging.disable(logging.CRITICAL)
from math_verify import parse, verify
print("ready", flush=True)
for line in sys.stdin:
    try:
        one, other = (parse("$" + text + "$", parsing_timeout=None) for text in json.loads(line))
        same = verify(one, other, timeout_seconds=None) or verify(other, one, timeout_seconds=None)
    except Exception:
        same = False
    print(json.dumps(bool(same)), flush=True)
"""


@dataclass(slots=True)
class SymbolicEquality:
    """Verdicts are kept in `folder` (None: in memory only). `seconds` is the time limit of one comparison."""

    folder: Path | None = None
    seconds: float = SECONDS
    asked: int = field(default=0, init=False)
    _known: dict[tuple[str, str], bool] | None = field(default=None, init=False)
    _worker: "subprocess.Popen[str] | None" = field(default=None, init=False)

    def representatives(self, answers: Sequence[str | None]) -> list[str | None]:
        """Replaces each answer by the first one equal to it. Raises UserError if math-verify is not installed."""
        different = list(dict.fromkeys(answer for answer in answers if answer is not None))
        first = {answer: answer for answer in different}
        for earlier, later in combinations(different, 2):
            if first[earlier] != first[later] and self.equal(earlier, later):
                lost, kept = sorted((first[earlier], first[later]), key=different.index, reverse=True)
                first = {answer: kept if head == lost else head for answer, head in first.items()}
        return [None if answer is None else first[answer] for answer in answers]

    def equal(self, a: str, b: str) -> bool:
        """True if two answers are equal: decided by their text if possible, else by a cached verdict, else by the
        worker."""
        if equivalent(a, b):
            return True
        exact = _decided(a, b)
        if exact is not None:
            return exact
        pair = (a, b) if a < b else (b, a)
        known = self._read()
        if pair not in known:
            known[pair] = self._ask(pair)
            self._keep(pair, known[pair])
        return known[pair]

    def close(self) -> None:
        """Ends the worker."""
        if self._worker is not None:
            self._worker.kill()
            self._worker.wait()
            for stream in (self._worker.stdin, self._worker.stdout):
                assert stream is not None
                stream.close()
            self._worker = None

    def __del__(self) -> None:
        self.close()

    def _ask(self, pair: tuple[str, str]) -> bool:
        worker = self._started()
        assert worker.stdin is not None
        self.asked += 1
        worker.stdin.write(json.dumps(pair) + "\n")
        worker.stdin.flush()
        answer = _read_line(worker, self.seconds)
        if answer is None:  # it hangs, or died of this pair
            self.close()
        return answer == "true"

    def _started(self) -> "subprocess.Popen[str]":
        if self._worker is None:
            pipe = subprocess.PIPE
            command = [sys.executable, "-c", _WORKER]
            self._worker = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True)
            if _read_line(self._worker, _START_SECONDS) != "ready":
                self.close()
                raise UserError("symbolic equality of answers needs math-verify: pip install 'crescent-lm[symbolic]'")
        return self._worker

    def _read(self) -> dict[tuple[str, str], bool]:
        if self._known is None:
            self._known = {}
            for line in self._path.read_text("utf-8").splitlines() if self._path and self._path.exists() else ():
                try:
                    a, b, same = json.loads(line)
                except ValueError:
                    continue  # a torn line of a killed run: compare again
                self._known[a, b] = bool(same)
        return self._known

    def _keep(self, pair: tuple[str, str], same: bool) -> None:
        if self._path is None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        line = json.dumps([*pair, same])
        handle = os.open(self._path, os.O_APPEND | os.O_CREAT | os.O_WRONLY, 0o666)
        try:
            os.write(handle, f"\n{line}\n".encode())  # starts a new line, whatever a killed run left before it
        finally:
            os.close(handle)

    @property
    def _path(self) -> Path | None:
        return self.folder / "verdicts.jsonl" if self.folder else None


def _decided(a: str, b: str) -> bool | None:
    """Decides cases that math-verify gets wrong: it compares floating-point values (1/2^99 and 1/2^98 are equal to it),
    confuses sets, intervals and pairs, and drops units (5 cm, 5 m). None if math-verify should decide."""
    one, other = _rational(a), _rational(b)
    if one is not None and other is not None:
        return one == other
    if (one is None) != (other is None) and "." in a + b:
        return False  # 1.41421356 only approximates \\sqrt{2}
    brackets = [(text[0], text[-1]) for text in map(_bare, (a, b)) if _LISTED.match(text)]
    if len(brackets) == 1 or (brackets and brackets[0] != brackets[1]):
        return False
    units = [found[1].replace(" ", "") for found in map(_UNIT.search, (a, b)) if found]
    if units and (len(units) == 1 or units[0] != units[1]):
        return False
    return None


_LISTED = re.compile(r"[(\[{].*,.*[)\]}]$", re.DOTALL)
_UNIT = re.compile(r"\d\s*(?:\\(?:text|mathrm)\s*\{\s*|(?<=\s))([A-Za-z][A-Za-z /^0-9]{0,20}?)\s*\}?$")


def _bare(text: str) -> str:
    return text.replace("\\{", "{").replace("\\}", "}").strip() or " "


def _rational(text: str) -> str | None:
    text = plain(text)
    return rational(tokens(text, 0, len(text))) if len(text) <= 400 else None


def _read_line(worker: "subprocess.Popen[str]", seconds: float) -> str | None:
    """The worker's next line, or None after the time limit."""
    assert worker.stdout is not None
    with selectors.DefaultSelector() as waiting:
        waiting.register(worker.stdout, selectors.EVENT_READ)
        if not waiting.select(seconds):
            return None
    return worker.stdout.readline().strip() or None
