"""`dedup=paper`: the decisions of the authors' release, without its parsing and persistence bugs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from crescent.core.records import Question, text_id
from crescent.dedup.judging import Candidate, Judged, Tools, drop, keep, why_useless
from crescent.dedup.settings import check_cosine
from crescent.similarity import Pool


@dataclass(frozen=True, slots=True)
class Paper:
    """`dedup=paper`: what the authors' release does, with its thresholds as cosines.

    Within a round, a question at least `round_min_cosine` similar to a *later* one is dropped. A question more than
    `pool_cosine` similar to one in the pool (the release: squared L2 below 0.25, which is cosine above 0.875 for unit
    vectors) is rewritten once, and the rewrite is kept without being judged.
    """

    name: str = "paper"
    round_min_cosine: float = 0.85
    pool_cosine: float = 0.875

    def __post_init__(self) -> None:
        check_cosine(self.round_min_cosine, "round_min_cosine")
        check_cosine(self.pool_cosine, "pool_cosine")

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
                useless = why_useless(candidate.text, rewrites[row])
                reason = f"{useless}, kept as asked" if useless else "rewritten once, kept unseen"
            judged[after.place] = keep(after, reason, neighbour.id if neighbour else None, float(cosines[row]))
        kept = [one.kept for one in judged.values()]
        if kept:
            self._pool.add(self._tools.embed([question.text for question in kept]))
            self._kept += kept
        return judged


def _text(question: Question | None) -> str:
    assert question is not None
    return question.text
