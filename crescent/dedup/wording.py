"""Strategies that compare only words, or nothing: `none`, `exact` and `minhash`. They need no model."""

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from crescent.core.errors import UserError
from crescent.core.records import Question, text_id
from crescent.core.store import renamed_in_key
from crescent.dedup.judging import Candidate, Judged, Tools, drop, keep
from crescent.similarity import mask_numbers, words_of

MAX_MISSED = 1e-6
"""The largest share of pairs at `min_jaccard` that minhash may miss; of more similar pairs it misses fewer."""


@dataclass(frozen=True, slots=True)
class KeepAll:
    """`dedup=none`: keeps every valid question, even exact repeats (the ablation without diversification)."""

    name: str = "none"

    def open(self, tools: Tools) -> "KeepAll":
        return self

    def judge(self, candidates: Sequence[Candidate]) -> list[Judged]:
        return [keep(candidate, "not compared") for candidate in candidates]

    def remember(self, questions: Sequence[Question]) -> None:
        """A no-op: there is no pool."""


def normalise(text: str) -> str:
    """`text` without differences in case, Unicode form, punctuation at the ends and runs of white space."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split()).strip(" .!?\"'")


@dataclass(frozen=True, slots=True)
class Exact:
    """`dedup=exact`: drops a question whose normalised text was seen before."""

    name: str = "exact"

    def open(self, tools: Tools) -> "ExactJudge":
        return ExactJudge()


class ExactJudge:
    def __init__(self) -> None:
        self._seen: dict[str, str] = {}

    def judge(self, candidates: Sequence[Candidate]) -> list[Judged]:
        judged = []
        for candidate in candidates:
            form = normalise(candidate.text)
            twin = self._seen.get(form)
            if twin is None:
                self._seen[form] = text_id(candidate.text)
            judged.append(keep(candidate, "new") if twin is None else drop(candidate, "same text", twin, 1.0))
        return judged

    def remember(self, questions: Sequence[Question]) -> None:
        self._seen |= {normalise(question.text): question.id for question in questions}


@dataclass(frozen=True, slots=True)
class MinHash:
    """`dedup=minhash`: drops a question that shares at least `min_jaccard` of its word shingles with a kept one.

    Locality-sensitive hashing (Broder 1997; datasketch), which misses fewer than one in a million such pairs, finds
    candidates; their Jaccard similarity is then computed exactly. Needs no model, and only wording counts. For scripts
    without spaces, pairs of characters replace words.
    """

    VERSION: ClassVar[int] = 2

    name: str = "minhash"
    min_jaccard: float = 0.7
    shingle_words: int = 3
    permutations: int = 128
    mask_numbers: bool = renamed_in_key("numbers", {False: "keep", True: "mask"}, default=False)

    def __post_init__(self) -> None:
        if not 0 < self.min_jaccard <= 1:
            raise UserError(f"dedup.min_jaccard is {self.min_jaccard}; it is a share of shingles, above 0 and up to 1")
        if self.shingle_words < 1:
            raise UserError(f"dedup.shingle_words is {self.shingle_words}; it must be at least 1")
        if not 16 <= self.permutations <= 1024:
            raise UserError(f"dedup.permutations is {self.permutations}; it may be 16 to 1024 (128 is usual)")
        missed = _missed(self.min_jaccard, *self.bands())
        if missed > MAX_MISSED:
            raise UserError(
                f"dedup.permutations={self.permutations} would miss {missed:.1g} of the pairs at dedup.min_jaccard="
                f"{self.min_jaccard}; give at least {_least_permutations(self.min_jaccard)} (up to 1024), or a higher "
                "min_jaccard"
            )

    def bands(self) -> tuple[int, int]:
        """(bands, rows per band) of the index: the most rows, and so the fewest candidates, with which it misses few
        enough pairs; one row if no choice does.
        """
        fitting = ((self.permutations // rows, rows) for rows in range(self.permutations // 2, 0, -1))
        found = (one for one in fitting if _missed(self.min_jaccard, *one) <= MAX_MISSED)
        return next(found, (self.permutations, 1))

    def open(self, tools: Tools) -> "MinHashJudge":
        return MinHashJudge(self)


def _missed(jaccard: float, bands: int, rows: int) -> float:
    """The share of pairs with this similarity that agree in no band."""
    return (1 - jaccard**rows) ** bands


def _least_permutations(jaccard: float) -> int:
    return math.ceil(math.log(MAX_MISSED) / math.log1p(-jaccard))


class MinHashJudge:
    def __init__(self, settings: MinHash) -> None:
        from datasketch import MinHashLSH

        self._settings = settings
        self._index = MinHashLSH(num_perm=settings.permutations, params=settings.bands())
        self._shingles: list[frozenset[str]] = []
        self._ids: list[str] = []

    def judge(self, candidates: Sequence[Candidate]) -> list[Judged]:
        return [self._judge(candidate) for candidate in candidates]

    def _judge(self, candidate: Candidate) -> Judged:
        shingles = self._cut(candidate.text)
        sketch = self._sketch(shingles)
        found: list[int] = sorted(self._index.query(sketch))  # type: ignore[type-var]
        shared = [_jaccard(shingles, self._shingles[at]) for at in found]
        if shared and max(shared) >= self._settings.min_jaccard:
            twin = self._ids[found[shared.index(max(shared))]]
            return drop(candidate, f"{max(shared):.0%} of its shingles shared", twin)
        self._insert(text_id(candidate.text), shingles, sketch)
        return keep(candidate, "new")

    def remember(self, questions: Sequence[Question]) -> None:
        for question in questions:
            shingles = self._cut(question.text)
            self._insert(question.id, shingles, self._sketch(shingles))

    def _insert(self, question_id: str, shingles: frozenset[str], sketch: Any) -> None:
        self._index.insert(len(self._ids), sketch)
        self._shingles.append(shingles)
        self._ids.append(question_id)

    def _cut(self, text: str) -> frozenset[str]:
        words = words_of(normalise(mask_numbers(text) if self._settings.mask_numbers else text)) or [""]
        size = min(self._settings.shingle_words, len(words))
        return frozenset(" ".join(words[at : at + size]) for at in range(len(words) - size + 1))

    def _sketch(self, shingles: frozenset[str]) -> Any:
        from datasketch import MinHash as Sketch

        sketch = Sketch(num_perm=self._settings.permutations)
        sketch.update_batch([shingle.encode("utf-8", "surrogatepass") for shingle in sorted(shingles)])
        return sketch


def _jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared)
