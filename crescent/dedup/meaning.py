"""Strategies that compare meaning with everything kept so far: `drop` and `rejection`.

Cosines are of unit vectors (all-MiniLM-L6-v2 by default). A question with a cosine of `min_cosine` or more counts as a
duplicate.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from crescent.core.errors import UserError
from crescent.core.records import Question
from crescent.core.store import renamed_in_key
from crescent.dedup.judging import Candidate, Judged, Tools, drop, keep, why_useless
from crescent.dedup.settings import check_cosine
from crescent.similarity import Pool, mask_numbers


@dataclass(frozen=True, slots=True)
class Drop:
    """`dedup=drop`: drops a question whose cosine to an earlier kept one is at least `min_cosine`."""

    name: str = "drop"
    min_cosine: float = 0.85
    mask_numbers: bool = renamed_in_key("numbers", {False: "keep", True: "mask"}, default=False)

    def __post_init__(self) -> None:
        check_cosine(self.min_cosine)

    def open(self, tools: Tools) -> "PoolJudge":
        return PoolJudge(tools, self.min_cosine, self.mask_numbers, max_rewrites=0)


@dataclass(frozen=True, slots=True)
class Rejection:
    """`dedup=rejection`: the model is asked to modify a similar question, given its neighbour; the rewrite is judged
    again, at most `max_rewrites` times; then it is dropped.
    """

    name: str = "rejection"
    min_cosine: float = 0.85
    mask_numbers: bool = renamed_in_key("numbers", {False: "keep", True: "mask"}, default=False)
    max_rewrites: int = 3

    def __post_init__(self) -> None:
        check_cosine(self.min_cosine)
        if self.max_rewrites < 1:
            raise UserError(f"dedup.max_rewrites is {self.max_rewrites}; it must be at least 1 (or choose dedup=drop)")

    def open(self, tools: Tools) -> "PoolJudge":
        return PoolJudge(tools, self.min_cosine, self.mask_numbers, self.max_rewrites)


Similar = tuple[Candidate, Question, float]
"""A candidate that was not admitted, its neighbour, and their cosine."""


class PoolJudge:
    """Judges against everything accepted so far, including the candidates' own round."""

    def __init__(self, tools: Tools, min_cosine: float, masks_numbers: bool, max_rewrites: int) -> None:
        self._tools, self._min_cosine = tools, min_cosine
        self._masks_numbers, self._max_rewrites = masks_numbers, max_rewrites
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
        vectors = self._tools.embed([mask_numbers(text) for text in texts] if self._masks_numbers else texts)
        self._pool = self._pool or Pool(vectors.shape[1], folder=self._tools.folder)
        self._pool.add(vectors)
        self._kept += questions

    def _admit(self, candidates: Sequence[Candidate], judged: dict[int, Judged]) -> list[Similar]:
        """Keeps what is new; returns the others with their neighbours and cosines."""
        texts = [mask_numbers(c.text) if self._masks_numbers else c.text for c in candidates]
        vectors = self._tools.embed(texts)
        self._pool = self._pool or Pool(vectors.shape[1], folder=self._tools.folder)
        found = self._pool.admit(vectors, self._min_cosine)
        similar = []
        for row, candidate in enumerate(candidates):
            cosine = float(found.cosine[row])
            neighbour = self._kept[found.nearest[row]] if found.nearest[row] >= 0 else None
            if found.admitted[row]:
                judged[candidate.place] = keep(candidate, "new", neighbour.id if neighbour else None, cosine)
                self._kept.append(judged[candidate.place].kept)
            else:
                assert neighbour is not None, "an empty pool admits everything"
                similar.append((candidate, neighbour, cosine))
        return similar

    def _rewrite(self, similar: Sequence[Similar], judged: dict[int, Judged]) -> list[Candidate]:
        """Asks, in one batch, for rewrites of candidates below the limit; drops the others."""
        asked = [one for one in similar if one[0].rewrites < self._max_rewrites]
        for candidate, near, cosine in similar:
            if candidate.rewrites >= self._max_rewrites:
                judged[candidate.place] = drop(candidate, "too similar", near.id, cosine)
        rewritten = []
        texts = self._tools.rewrite([(candidate.text, near.text) for candidate, near, _ in asked]) if asked else []
        for (candidate, near, cosine), text in zip(asked, texts, strict=True):
            after = replace(candidate, text=text or candidate.text, rewrites=candidate.rewrites + 1)
            useless = why_useless(candidate.text, text)
            if useless:
                judged[after.place] = drop(after, useless, near.id, cosine)
            else:
                rewritten.append(after)
        return rewritten
