"""Seed data: questions with known answers, which the baselines start from and Crescent does not need.

In: a JSONL file, one question per line. Out: an artifact of Questions with `golds.jsonl`, in an order determined by the
run's seed, so that the first n are a sample. Uses no model.

    {"question": "Tom has 3 ...", "solution": "3 + 4 = 7 apples.\\n#### 7", "answer": "7"}     solution and answer
    {"question": "Natalia sold ...", "answer": "She sold 48/2 = <<48/2=24>>24 ...\\n#### 72"}  GSM8K's own form
    {"question": "What is 3 + 4?", "answer": "7"}                                              the bare answer
"""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from crescent.answers import extract
from crescent.core.context import ModelKeys, Stage, StageContext
from crescent.core.errors import UserError
from crescent.core.records import GOLDS, Gold, Question, encode, text_id
from crescent.core.store import Artifact, Key, Outcome, not_in_key
from crescent.core.utf8_lines import utf8_lines

CALCULATOR = re.compile(r"<<[^<>\n]*>>")  # GSM8K's calculator annotations: not for readers, so not for students either
Seed = tuple[Question, Gold]


@dataclass(frozen=True, slots=True)
class Seeds(Stage):
    """Reads a seed set. `kind` is how answers are extracted; of duplicate questions the first is used.

    `max_seeds` questions are sampled (None: all); `seed` determines which, and their order.
    """

    NAME: ClassVar[str] = "seeds"
    VERSION: ClassVar[int] = 5

    kind: str
    max_seeds: int | None = None
    seed: int = 0
    path: Path = not_in_key(default_factory=Path)

    def key(self, models: ModelKeys, *inputs: str) -> Key:
        """Based on the file's content, not its name."""
        content = hashlib.sha256(_bytes(self.path)).hexdigest()
        return Key(self.NAME, self.VERSION, {"stage": self, "content": content})

    def title(self, *inputs: object, **options: object) -> str:
        """Heading on the console, with the file's name."""
        return f"1 Seeds: questions with known answers ({self.path.name})"

    def run(self, context: StageContext) -> Artifact:
        """Returns the seeds of the file. Raises UserError like `read_seeds`."""

        def build(work: Path) -> Outcome:
            seeds = sorted(read_seeds(self.path, self.kind), key=lambda one: text_id(str(self.seed), one[0].id))
            seeds = seeds[: self.max_seeds]
            write_golds(work / GOLDS, [gold for _, gold in seeds])
            return Outcome([question for question, _ in seeds], {"seeds": len(seeds)}, {GOLDS: work / GOLDS})

        return context.store.build(context.key(self), build)


def read_seeds(path: Path, kind: str) -> list[Seed]:
    """Returns questions and what the file says about them. Raises UserError that names the line and the problem."""
    seeds: dict[str, Seed] = {}
    name = f"source.seeds: {path}"
    for number, line in utf8_lines(_bytes(path).splitlines(), name):
        question, gold = _seed(line, f"{name}:{number}", kind)
        seeds.setdefault(question.id, (question, gold))
    if not seeds:
        raise UserError(f"source.seeds: {path} contains no question; use a JSONL file with question and answer")
    return list(seeds.values())


def write_golds(path: Path, golds: Sequence[Gold]) -> None:
    """Writes what is known about the questions."""
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(encode(gold) + "\n" for gold in golds)


def _seed(line: str, place: str, kind: str) -> Seed:
    try:
        row: Any = json.loads(line)
    except ValueError as error:
        raise UserError(f"{place} is not JSON ({error})") from None
    if not isinstance(row, dict) or not all(isinstance(row.get(name), str) for name in ("question", "answer")):
        raise UserError(f"{place} needs the fields question and answer, both text (as in GSM8K)")
    text, answer = row["question"].strip(), row["answer"].strip()
    solution = CALCULATOR.sub("", str(row.get("solution") or answer)).strip()
    known = extract(answer, kind)
    if not text or known is None:
        lacking = f"answer of the kind {kind!r}" if text else "question"
        raise UserError(f"{place} has no {lacking}; fix or remove the line")
    question = Question(text_id(text), text, 0)
    return question, Gold(question.id, known, solution, "seed")


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(
            f"source.seeds: {path} cannot be read ({error.strerror}); use a JSONL file with question and answer"
        ) from None
