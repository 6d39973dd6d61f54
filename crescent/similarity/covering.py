"""Chooses the texts that cover a set of texts best: facility location, by the lazy greedy algorithm.

In: unit vectors [n, dimensions]. Out: indices, the most useful first. What is maximised is the sum, over all texts, of
the cosine to the nearest chosen one (negative cosines count as 0). Greedy choices reach at least 63 % of the optimum
(Nemhauser et al. 1978); lazy evaluation (Minoux 1978) changes no choice. For data: Wei, Iyer and Bilmes, "Submodularity
in data subset selection and active learning", ICML 2015.

Memory does not grow with n^2. Up to 4,096 texts all cosines are kept. Of more texts, an evenly spaced part stands for
all, and each knows only its nearest neighbours: at most `MAX_COSINES` cosines, 0.5 GB at the peak, beside the vectors.
"""

import heapq
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_COSINES = 2**24
MIN_COVERED, MAX_COVERED = 4096, 2**16  # texts that stand for all; in between `_PER_CHOICE` for each text to choose
_PER_CHOICE = 8
_SCALE = 10_000  # cosines are whole numbers of this fraction: sums are exact, whatever their order


def cover(vectors: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """`count` indices (at most n), in the order chosen; equal gains go to the lowest index. The first k are what
    `cover(vectors, k)` chooses too, as long as all texts are covered (see above). Texts that would add nothing come
    last, in their order.
    """
    count = min(count, len(vectors))
    chosen = _greedy(*_by_candidate(vectors, _covered(len(vectors), count)), count)
    rest = np.setdiff1d(np.arange(len(vectors)), chosen)[: count - len(chosen)]
    return np.concatenate([np.array(chosen, np.int64), rest])


def coverage(vectors: NDArray[np.float32], chosen: NDArray[np.int64]) -> float:
    """The mean cosine of the texts (at most 4,096 of them, evenly spaced) to the nearest chosen one."""
    covered = _evenly(len(vectors), MIN_COVERED)
    cosines, _ = _nearest(vectors[covered], vectors[chosen], 1)
    return round(float(cosines.mean()), 4)


def _covered(texts: int, count: int) -> NDArray[np.int64]:
    return _evenly(texts, min(MAX_COVERED, max(MIN_COVERED, _PER_CHOICE * count)))


def _evenly(texts: int, at_most: int) -> NDArray[np.int64]:
    return np.arange(texts) if texts <= at_most else np.arange(at_most, dtype=np.int64) * texts // at_most


def _by_candidate(
    vectors: NDArray[np.float32], covered: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int32]]:
    """What each text would cover: `starts` [n + 1] into `places` (of covered texts) and `cosines` (scaled)."""
    neighbours = min(len(vectors), MAX_COSINES // len(covered))
    cosines, candidates = _nearest(vectors[covered], vectors, neighbours)
    scaled = np.rint(np.maximum(cosines, 0) * _SCALE).astype(np.int32).ravel()
    candidates = candidates.ravel()
    order = np.argsort(candidates, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(candidates, minlength=len(vectors)))])
    return starts, (order // neighbours).astype(np.int32), scaled[order]


def _nearest(asked: NDArray[np.float32], among: NDArray[np.float32], count: int) -> tuple[Any, Any]:
    """(cosines, indices) [len(asked), count] of the nearest rows of `among`."""
    import faiss

    if count == len(among):
        return asked @ among.T, np.broadcast_to(np.arange(count), (len(asked), count))
    return faiss.knn(np.ascontiguousarray(asked), np.ascontiguousarray(among), count, metric=faiss.METRIC_INNER_PRODUCT)


def _greedy(starts: NDArray[np.int64], places: NDArray[np.int32], cosines: NDArray[np.int32], count: int) -> list[int]:
    """Chooses until `count` are chosen or nothing adds to the sum. A gain only falls as others are chosen, so an old
    one is an upper bound, and only the candidate on top of the heap is computed anew.
    """
    reached = np.zeros(int(places.max()) + 1, np.int32)
    gains = np.add.reduceat(np.append(cosines.astype(np.int64), 0), starts[:-1])
    gains[starts[:-1] == starts[1:]] = 0  # reduceat gives the next element for an empty slice
    heap = [(-int(gain), index) for index, gain in enumerate(gains) if gain > 0]
    heapq.heapify(heap)
    chosen: list[int] = []
    while heap and len(chosen) < count:
        index = heapq.heappop(heap)[1]
        mine = slice(starts[index], starts[index + 1])
        gain = int(np.maximum(cosines[mine] - reached[places[mine]], 0).sum(dtype=np.int64))
        if heap and gain > 0 and (-gain, index) > heap[0]:
            heapq.heappush(heap, (-gain, index))
        elif gain > 0:
            reached[places[mine]] = np.maximum(reached[places[mine]], cosines[mine])
            chosen.append(index)
    return chosen
