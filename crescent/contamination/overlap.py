"""Finds generated questions that also occur in the evaluation sets.

In: generated questions and benchmark items, both embedded. Out: a `Hit` for each question that shares a run of words
with an item (13 by default, as GPT-3's authors checked: Brown et al., arXiv 2005.14165, appendix C), or all its words
if it is shorter, or whose embedding is too close to an item's. `contamination.stage` decides what happens to hits.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from crescent.core.records import Hit, Question
from crescent.similarity import Pool


@dataclass(frozen=True, slots=True)
class Item:
    """One text of a benchmark: a task's prompt for an item, without worked examples."""

    task: str
    index: int
    text: str


class WordRuns:
    """An index of the items by runs of `length` words, ignoring case, punctuation and white space."""

    def __init__(self, items: Sequence[Item], length: int) -> None:
        self._length = length
        self._runs: dict[str, int] = {}
        self._short: dict[int, dict[str, int]] = defaultdict(dict)  # by number of words, built on demand
        self._words = [words(item.text) for item in items]
        for index, said in enumerate(self._words):
            for run in runs(said, length):
                self._runs.setdefault(run, index)

    def find(self, text: str) -> tuple[int, str] | None:
        """(index of an item, the shared words), or None. All of a text shorter than a run must occur in the item."""
        said = words(text)
        if len(said) >= self._length:
            found = ((self._runs[run], run) for run in runs(said, self._length) if run in self._runs)
            return next(found, None)
        if not said:
            return None
        known = self._short[len(said)] or self._of_length(len(said))
        whole = " ".join(said)
        return (known[whole], whole) if whole in known else None

    def _of_length(self, length: int) -> dict[str, int]:
        known = self._short[length]
        for index, said in enumerate(self._words):
            for run in runs(said, length):
                known.setdefault(run, index)
        return known


def words(text: str) -> list[str]:
    """Runs of letters and digits, in lower case."""
    return re.findall(r"\w+", unicodedata.normalize("NFKC", text).casefold())


def runs(said: Sequence[str], length: int) -> Iterable[str]:
    return (" ".join(said[at : at + length]) for at in range(len(said) - length + 1))


def find_hits(
    questions: Sequence[Question],
    items: Sequence[Item],
    question_vectors: np.ndarray,
    item_vectors: np.ndarray,
    min_cosine: float,
    run_words: int,
) -> list[Hit]:
    """At most one hit per question, in order; a shared run of words takes precedence. Vectors: float32 unit rows."""
    if not items or not questions:
        return []
    pool = Pool(item_vectors.shape[1])
    pool.add(item_vectors)
    nearest, cosines = pool.nearest(question_vectors)
    shared = WordRuns(items, run_words)
    hits = []
    for row, question in enumerate(questions):
        found = shared.find(question.text)
        cosine = round(float(cosines[row]), 4)
        if found is not None:
            own = float(question_vectors[row] @ item_vectors[found[0]])
            hits.append(
                _hit(question, items[found[0]], round(own, 4), f"shares {len(found[1].split())} words: {found[1]}")
            )
        elif cosine >= min_cosine:
            hits.append(_hit(question, items[int(nearest[row])], cosine, "similar"))
    return hits


def _hit(question: Question, item: Item, cosine: float, reason: str) -> Hit:
    return Hit(question.id, question.text, item.task, item.index, item.text, cosine, reason)
