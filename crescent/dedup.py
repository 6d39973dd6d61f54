"""Dedup strategies: what happens to a question that is too similar to one already kept.

In: the valid questions of one round, in order. Out: for each, whether it is kept, as what text, and why. A strategy
sees the pool only through `Tools`: an embedder, and a way to ask the model for rewrites in full batches. It knows no
store and no round but its own.

Cosines are of unit vectors (all-MiniLM-L6-v2 by default). `min_cosine` is the similarity from which a question counts
as a duplicate.
"""

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from crescent.records import Decision, Question, Verdict, text_id
from crescent.similarity import Pool, mask_numbers

Numbers = Literal["keep", "mask"]
Rewrite = tuple[str, str]
"""A question and the neighbour it is too similar to."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A question under judgement: the text now, the text it began as, its place in its round, and how often it was
    rewritten."""

    text: str
    origin: str
    round: int
    place: int = 0
    rewrites: int = 0


@dataclass(frozen=True, slots=True)
class Judged:
    """The decision on one candidate, and the question that is kept because of it, if one is."""

    decision: Decision
    question: Question | None


@dataclass(frozen=True, slots=True)
class Tools:
    """What a strategy may use. `embed`: texts -> float32 [n, dimension] unit rows. `rewrite`: one text (or None where
    the model wrote nothing usable) for each (question, neighbour). `folder`: what a large pool learns is kept there."""

    embed: Callable[[Sequence[str]], np.ndarray]
    rewrite: Callable[[Sequence[Rewrite]], list[str | None]]
    folder: Path | None = None


class Judge(Protocol):
    """A strategy with its pool."""

    def judge(self, candidates: Sequence[Candidate]) -> list[Judged]:
        """Judges one round, adds what is kept to the pool, and returns one decision a candidate, in order."""
        ...

    def remember(self, questions: Sequence[Question]) -> None:
        """Puts questions into the pool unjudged: those that an earlier run of the loop has kept."""
        ...


class Dedup(Protocol):
    """The settings of a strategy; `open` starts an empty pool."""

    @property
    def name(self) -> str: ...

    def open(self, tools: Tools) -> Judge: ...


def keep(candidate: Candidate, reason: str, nearest: str | None = None, cosine: float = 0.0) -> Judged:
    """The candidate becomes a question."""
    rewritten = candidate.rewrites > 0
    parent = text_id(candidate.origin) if rewritten else None
    question = Question(text_id(candidate.text), candidate.text, candidate.round, parent)
    verdict: Verdict = "rewritten" if rewritten else "accepted"
    return Judged(_decision(candidate, question.id, verdict, reason, nearest, cosine), question)


def drop(candidate: Candidate, reason: str, nearest: str | None = None, cosine: float = 0.0) -> Judged:
    """The candidate is not kept."""
    return Judged(_decision(candidate, text_id(candidate.origin), "dropped", reason, nearest, cosine), None)


def _decision(
    candidate: Candidate, question_id: str, verdict: Verdict, reason: str, nearest: str | None, cosine: float
) -> Decision:
    cosine, origin = round(float(cosine), 4), candidate.origin
    return Decision(question_id, verdict, nearest, cosine, candidate.rewrites, reason, origin, candidate.round)


@dataclass(frozen=True, slots=True)
class KeepAll:
    """`dedup=none`: every valid question is kept, a literal repeat too (the ablation without diversification)."""

    name: str = "none"

    def open(self, tools: Tools) -> "KeepAll":
        return self

    def judge(self, candidates: Sequence[Candidate]) -> list[Judged]:
        return [keep(candidate, "not compared") for candidate in candidates]

    def remember(self, questions: Sequence[Question]) -> None:
        """There is no pool."""


def normalise(text: str) -> str:
    """Text up to case, Unicode form, punctuation at the edges and runs of white space."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split()).strip(" .!?\"'")


@dataclass(frozen=True, slots=True)
class Exact:
    """`dedup=exact`: a question whose normalised text was seen before is dropped."""

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
    """`dedup=minhash`: a question that shares at least `min_jaccard` of its word shingles with a kept one is dropped.

    Candidates come from locality-sensitive hashing (Broder 1997; datasketch), tuned for recall, and their Jaccard
    similarity is then computed exactly. No model is needed, and wording alone counts.
    """

    name: str = "minhash"
    min_jaccard: float = 0.7
    shingle_words: int = 3
    permutations: int = 128
    numbers: Numbers = "keep"

    def __post_init__(self) -> None:
        _check_numbers(self.numbers)
        if not 0 < self.min_jaccard <= 1:
            raise ValueError(f"dedup.min_jaccard is {self.min_jaccard}; it is a share of shingles, above 0 and up to 1")
        if self.shingle_words < 1:
            raise ValueError(f"dedup.shingle_words is {self.shingle_words}; it must be at least 1")
        if not 16 <= self.permutations <= 1024:
            raise ValueError(f"dedup.permutations is {self.permutations}; it may be 16 to 1024 (128 is usual)")

    def open(self, tools: Tools) -> "MinHashJudge":
        return MinHashJudge(self)


class MinHashJudge:
    def __init__(self, settings: MinHash) -> None:
        from datasketch import MinHashLSH

        self._settings = settings
        level = min(0.9, settings.min_jaccard)  # only of the candidates; the index cannot be built for 1
        self._index = MinHashLSH(level, settings.permutations, weights=(0.1, 0.9))
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
        words = normalise(mask_numbers(text) if self._settings.numbers == "mask" else text).split() or [""]
        size = min(self._settings.shingle_words, len(words))
        return frozenset(" ".join(words[at : at + size]) for at in range(len(words) - size + 1))

    def _sketch(self, shingles: frozenset[str]) -> Any:
        from datasketch import MinHash as Sketch

        sketch = Sketch(num_perm=self._settings.permutations)
        sketch.update_batch([shingle.encode("utf-8", "surrogatepass") for shingle in sorted(shingles)])
        return sketch


def _jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / len(one | other)


@dataclass(frozen=True, slots=True)
class Drop:
    """`dedup=drop`: a question at least `min_cosine` similar to one kept before is dropped."""

    name: str = "drop"
    min_cosine: float = 0.85
    numbers: Numbers = "keep"

    def __post_init__(self) -> None:
        _check(self.min_cosine, self.numbers)

    def open(self, tools: Tools) -> "PoolJudge":
        return PoolJudge(tools, self.min_cosine, self.numbers, max_rewrites=0)


@dataclass(frozen=True, slots=True)
class Rejection:
    """`dedup=rejection`: a similar question goes back to the model beside its neighbour to be modified, and the rewrite
    is judged again, at most `max_rewrites` times; then it is dropped."""

    name: str = "rejection"
    min_cosine: float = 0.85
    numbers: Numbers = "keep"
    max_rewrites: int = 3

    def __post_init__(self) -> None:
        _check(self.min_cosine, self.numbers)
        if self.max_rewrites < 1:
            raise ValueError(f"dedup.max_rewrites is {self.max_rewrites}; it must be at least 1 (or choose dedup=drop)")

    def open(self, tools: Tools) -> "PoolJudge":
        return PoolJudge(tools, self.min_cosine, self.numbers, self.max_rewrites)


Similar = tuple[Candidate, Question, float]
"""A candidate that was not admitted, its neighbour, and their cosine."""


class PoolJudge:
    """Judges against everything accepted so far, the candidates' own round included."""

    def __init__(self, tools: Tools, min_cosine: float, numbers: Numbers, max_rewrites: int) -> None:
        self._tools, self._min_cosine, self._numbers, self._max_rewrites = tools, min_cosine, numbers, max_rewrites
        self._pool: Pool | None = None
        self._kept: list[Question] = []

    def judge(self, candidates: Sequence[Candidate]) -> list[Judged]:
        judged: dict[int, Judged] = {}
        waiting = list(candidates)
        while waiting:
            similar = self._admit(waiting, judged)
            waiting = self._rewrite(similar, judged)
        return [judged[place] for place in sorted(judged)]

    def remember(self, questions: Sequence[Question]) -> None:
        texts = [question.text for question in questions]
        vectors = self._tools.embed([mask_numbers(text) for text in texts] if self._numbers == "mask" else texts)
        self._pool = self._pool or Pool(vectors.shape[1], folder=self._tools.folder)
        self._pool.add(vectors)
        self._kept += questions

    def _admit(self, candidates: Sequence[Candidate], judged: dict[int, Judged]) -> list[Similar]:
        """Keeps what is new; returns the others with their neighbour and its cosine."""
        texts = [mask_numbers(c.text) if self._numbers == "mask" else c.text for c in candidates]
        vectors = self._tools.embed(texts)
        self._pool = self._pool or Pool(vectors.shape[1], folder=self._tools.folder)
        found = self._pool.admit(vectors, self._min_cosine)
        similar = []
        for row, candidate in enumerate(candidates):
            cosine = float(found.cosine[row])
            neighbour = self._kept[found.nearest[row]] if found.nearest[row] >= 0 else None
            if found.admitted[row]:
                judged[candidate.place] = keep(candidate, "new", neighbour.id if neighbour else None, cosine)
                self._kept.append(_question(judged[candidate.place]))
            else:
                assert neighbour is not None, "an empty pool admits everything"
                similar.append((candidate, neighbour, cosine))
        return similar

    def _rewrite(self, similar: Sequence[Similar], judged: dict[int, Judged]) -> list[Candidate]:
        """Asks for rewrites of what may still be rewritten, in one batch; the rest is dropped."""
        asked = [one for one in similar if one[0].rewrites < self._max_rewrites]
        for candidate, near, cosine in similar:
            if candidate.rewrites >= self._max_rewrites:
                judged[candidate.place] = drop(candidate, "too similar", near.id, cosine)
        rewritten = []
        texts = self._tools.rewrite([(candidate.text, near.text) for candidate, near, _ in asked]) if asked else []
        for (candidate, near, cosine), text in zip(asked, texts, strict=True):
            after = replace(candidate, text=text or candidate.text, rewrites=candidate.rewrites + 1)
            if text is None:
                judged[after.place] = drop(after, "unusable rewrite", near.id, cosine)
            else:
                rewritten.append(after)
        return rewritten


@dataclass(frozen=True, slots=True)
class Paper:
    """`dedup=paper`: what the authors' release does, its thresholds as cosines.

    Inside a round a question at least `round_min_cosine` similar to a *later* one is dropped. Against the pool, one
    more than `pool_cosine` similar (the release: squared L2 below 0.25, which is cosine above 0.875 for unit vectors)
    is rewritten once and kept unseen.
    """

    name: str = "paper"
    round_min_cosine: float = 0.85
    pool_cosine: float = 0.875

    def __post_init__(self) -> None:
        _check(self.round_min_cosine, "keep", "round_min_cosine")
        _check(self.pool_cosine, "keep", "pool_cosine")

    def open(self, tools: Tools) -> "PaperJudge":
        return PaperJudge(tools, self)


class PaperJudge:
    def __init__(self, tools: Tools, settings: Paper) -> None:
        self._tools, self._settings = tools, settings
        self._pool: Pool | None = None
        self._kept: list[Question] = []

    def judge(self, candidates: Sequence[Candidate]) -> list[Judged]:
        vectors = self._tools.embed([candidate.text for candidate in candidates])
        cosines = np.triu(np.round(vectors @ vectors.T, 4), 1)
        judged: dict[int, Judged] = {}
        single: list[int] = []
        for row, candidate in enumerate(candidates):
            later = int(cosines[row].argmax())
            cosine = float(cosines[row, later])
            if cosine >= self._settings.round_min_cosine:
                reason = "similar to a later one of its round"
                judged[candidate.place] = drop(candidate, reason, text_id(candidates[later].text), cosine)
            else:
                single.append(row)
        judged |= self._against_pool([candidates[row] for row in single], vectors[single])
        return [judged[place] for place in sorted(judged)]

    def remember(self, questions: Sequence[Question]) -> None:
        vectors = self._tools.embed([question.text for question in questions])
        self._pool = self._pool or Pool(vectors.shape[1], folder=self._tools.folder)
        self._pool.add(vectors)
        self._kept += questions

    def _against_pool(self, candidates: Sequence[Candidate], vectors: np.ndarray) -> dict[int, Judged]:
        self._pool = self._pool or Pool(vectors.shape[1], folder=self._tools.folder)
        ids, cosines = self._pool.nearest(vectors)
        near = [self._kept[index] if index >= 0 else None for index in ids]
        similar = [row for row, cosine in enumerate(cosines) if near[row] and cosine > self._settings.pool_cosine]
        texts = self._tools.rewrite([(candidates[row].text, _text(near[row])) for row in similar]) if similar else []
        rewrites = dict(zip(similar, texts, strict=True))
        judged = {}
        for row, candidate in enumerate(candidates):
            after, reason, neighbour = candidate, "new", near[row]
            if row in rewrites:
                after = replace(candidate, text=rewrites[row] or candidate.text, rewrites=1)
                reason = "rewritten once, kept unseen"
            judged[after.place] = keep(after, reason, neighbour.id if neighbour else None, float(cosines[row]))
        kept = [_question(one) for one in judged.values()]
        if kept:
            self._pool.add(self._tools.embed([question.text for question in kept]))
            self._kept += kept
        return judged


def _question(judged: Judged) -> Question:
    assert judged.question is not None
    return judged.question


def _text(question: Question | None) -> str:
    assert question is not None
    return question.text


def _check(min_cosine: float, numbers: str, key: str = "min_cosine") -> None:
    if not -1 <= min_cosine <= 1:
        raise ValueError(f"dedup.{key} is {min_cosine}; a cosine lies between -1 and 1 (0.85 is the paper's)")
    _check_numbers(numbers)


def _check_numbers(numbers: str) -> None:
    if numbers not in ("keep", "mask"):
        raise ValueError(f"dedup.numbers is {numbers!r}; it may be keep or mask")
