"""A growing pool of unit vectors with nearest-neighbour search.

In: float vectors [n, dimensions], of any length but zero. Out: ids (in order of adding, from 0) and cosines. Memory: 4
bytes x dimensions per vector, 1.5 GB per million at 384, and up to twice that while the buffer is doubled. Search is
exact up to `exact_up_to` vectors; beyond that only the most promising lists are searched (`approximate.py`).
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from threadpoolctl import ThreadpoolController

from crescent.similarity.approximate import InvertedLists

EXACT_UP_TO = 200_000  # vectors; there, searching for one costs about as much as embedding it
DECIMALS = 4  # of a cosine: coarser than the effects of padding or the order of additions
_BLOCK_BYTES = 64 * 2**20  # size of a block of similarities
_SMALL = 4e9  # operations: a few hundredths of a second on one thread
_CHUNK = 1024  # vectors that `admit` compares with each other


@dataclass(frozen=True, slots=True)
class Admission:
    """The result of `Pool.admit` for each vector of a batch; arrays of the batch's length.

    `ids` is an admitted vector's id, -1 if it was not admitted; `nearest` and `cosine` describe its neighbour when it
    was judged (possibly an earlier vector of the same batch), -1 and 0.0 if the pool was empty.
    """

    admitted: NDArray[np.bool_]
    ids: NDArray[np.int64]
    nearest: NDArray[np.int64]
    cosine: NDArray[np.float32]


class Pool:
    """The vectors kept so far. Equal cosines (to 4 decimals) are resolved to the lowest id.

    `folder` stores what approximate search learns, so that a rerun makes the same decisions.
    """

    def __init__(self, dimensions: int = 384, exact_up_to: int = EXACT_UP_TO, folder: Path | None = None) -> None:
        if dimensions < 1:
            raise ValueError(f"dimensions={dimensions} must be at least 1")
        self.dimensions, self._exact_up_to, self._folder = dimensions, exact_up_to, folder
        self._buffer = np.empty((0, dimensions), np.float32)
        self._lists: InvertedLists | None = None
        self._size = 0

    def __len__(self) -> int:
        return self._size

    @property
    def is_exact(self) -> bool:
        """True while search compares with every kept vector."""
        return self._lists is None

    def add(self, vectors: ArrayLike) -> NDArray[np.int64]:
        """Adds vectors [n, dimensions] and returns their ids. Raises ValueError for vectors without a direction."""
        rows = unit_rows(vectors, self.dimensions)
        ids = np.arange(self._size, self._size + len(rows), dtype=np.int64)
        self._size += len(rows)
        if self._lists is not None:
            self._lists.add(rows)
            return ids
        self._reserve()
        self._buffer[ids] = rows
        if self._size > self._exact_up_to:
            self._lists = InvertedLists(self._buffer[: self._size], self._folder)
            self._buffer = self._buffer[:0].copy()
        return ids

    def nearest(self, vectors: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The nearest kept vector of each: (ids, cosines); -1 and 0.0 while the pool is empty."""
        return self._nearest(unit_rows(vectors, self.dimensions))

    def admit(self, vectors: ArrayLike, min_cosine: float) -> Admission:
        """Judges vectors in order and adds those whose cosine to all kept so far is below `min_cosine`.

        Makes the same decisions as `nearest` then `add` for each vector in turn, with two matrix products per chunk.
        Raises ValueError for a threshold outside -1 to 1.
        """
        if not -1.0 <= min_cosine <= 1.0:
            raise ValueError(f"min_cosine={min_cosine} must lie between -1 and 1")
        rows = unit_rows(vectors, self.dimensions)
        parts = [self._admit(rows[at : at + _CHUNK], min_cosine) for at in range(0, max(len(rows), 1), _CHUNK)]
        return Admission(
            np.concatenate([part.admitted for part in parts]),
            np.concatenate([part.ids for part in parts]),
            np.concatenate([part.nearest for part in parts]),
            np.concatenate([part.cosine for part in parts]),
        )

    def _admit(self, rows: NDArray[np.float32], min_cosine: float) -> Admission:
        nearest, cosine = self._nearest(rows)
        own = _rounded(_product(rows, rows.T))
        ids = np.full(len(rows), -1, np.int64)
        kept, count = np.empty(len(rows), np.int64), 0  # the rows admitted so far are kept[:count]
        for row in range(len(rows)):
            if count:
                best = kept[np.argmax(own[row, kept[:count]])]
                if nearest[row] < 0 or own[row, best] > cosine[row]:
                    nearest[row], cosine[row] = ids[best], own[row, best]
            if nearest[row] < 0 or cosine[row] < np.float32(min_cosine):
                ids[row], kept[count], count = self._size + count, row, count + 1
        self.add(rows[kept[:count]])
        return Admission(ids >= 0, ids, nearest, cosine)

    def _nearest(self, rows: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Searches in blocks whose similarities fit `_BLOCK_BYTES`; argmax takes the first of equal values."""
        if self._lists is not None:
            return self._lists.nearest(rows, DECIMALS)
        ids = np.full(len(rows), -1, np.int64)
        cosine = np.zeros(len(rows), np.float32)
        step = max(1, _BLOCK_BYTES // (4 * max(self._size, 1)))
        for start in range(0, len(rows) if self._size else 0, step):
            block = slice(start, start + step)
            similarity = _rounded(_product(rows[block], self._buffer[: self._size].T))
            ids[block] = similarity.argmax(axis=1)
            cosine[block] = np.take_along_axis(similarity, ids[block, None], axis=1)[:, 0]
        return ids, cosine

    def _reserve(self) -> None:
        """Makes room for `_size` vectors by doubling: adding n vectors one by one costs O(n) copies, not O(n^2)."""
        if self._size > len(self._buffer):
            grown = np.empty((max(self._size, 2 * len(self._buffer), 1024), self.dimensions), np.float32)
            grown[: len(self._buffer)] = self._buffer
            self._buffer = grown


def unit_rows(vectors: ArrayLike, dimensions: int | None = None) -> NDArray[np.float32]:
    """`vectors` as float32 [n, dimensions] of length 1. Raises ValueError for a wrong shape, NaN, infinity or zero."""
    rows = np.asarray(vectors, np.float32)
    if rows.ndim != 2 or (dimensions is not None and rows.shape[1] != dimensions):
        raise ValueError(f"vectors of shape {rows.shape} do not fit: [n, {dimensions or 'dimensions'}] is needed")
    lengths = np.sqrt(np.einsum("nd,nd->n", rows, rows, dtype=np.float64))
    bad = np.flatnonzero(~np.isfinite(lengths) | (lengths == 0))
    if len(bad):
        raise ValueError(
            f"vector {bad[0]} (one of {len(bad)}) has no direction: it is zero, or contains NaN or infinity"
        )
    return (rows / lengths[:, None]).astype(np.float32)


def _product(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """a @ b, a small product on one thread: the other threads of a linear algebra library keep spinning for a while
    after it, and would slow down the embedder that runs next by far more than they saved.
    """
    if 2 * a.shape[0] * a.shape[1] * b.shape[1] > _SMALL:
        return a @ b
    with _threads().limit(limits=1, user_api="blas"):
        return a @ b


@cache
def _threads() -> ThreadpoolController:
    return ThreadpoolController()


def _rounded(similarity: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.round(similarity, DECIMALS, out=similarity)
