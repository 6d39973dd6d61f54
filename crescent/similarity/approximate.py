"""Nearest neighbours in pools too large for exact search: inverted lists over unit vectors (FAISS, IVF-Flat).

In: float32 unit rows. Out: ids and cosines of neighbours that are almost always the nearest: cosines are exact, but
only the lists nearest to a query are searched. Memory: 4 bytes x dimensions + 8 per vector, 1.55 GB per million at 384.
Lists that grow take up to twice that, so only the newest vectors are in such lists. Source: Jegou et al., "Product
quantization for nearest neighbor search", section IV (without codes).
"""

import hashlib
import logging
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

log = logging.getLogger(__name__)
PROBES = 32  # lists searched per query
_MOST_LISTS = 4096
_PER_LIST = 40  # training vectors per list: FAISS asks for 39
_PART = 2**16  # vectors in lists that grow, or the whole / _MOST_PARTS
_MOST_PARTS = 16
_EQUALS = 8  # neighbours fetched, to find the lowest id among equal cosines


class InvertedLists:
    """Lists around centroids, trained once from the first vectors and kept in `folder` for later runs.

    Training is deterministic for the same vectors on the same machine; the kept file makes centroids equal on all
    machines.
    """

    def __init__(self, vectors: NDArray[np.float32], folder: Path | None = None) -> None:
        self._trained = _opened(vectors, folder)
        self._quantizer = self._trained.quantizer
        self._full: list[Any] = []  # parts without room to grow; their ids are those of the whole
        self._open = self._part()
        self.add(vectors)

    def __len__(self) -> int:
        return sum(part.ntotal for part in self._full) + self._open.ntotal

    def add(self, vectors: NDArray[np.float32]) -> None:
        """Adds vectors; ids continue from the last."""
        while len(vectors):
            room = max(_PART, len(self) // _MOST_PARTS) - self._open.ntotal
            if room <= 0:
                self._close()
                continue
            self._open.add(np.ascontiguousarray(vectors[:room]))
            vectors = vectors[room:]

    def nearest(self, vectors: NDArray[np.float32], decimals: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """(ids, cosines rounded to `decimals`); -1 and 0.0 if all searched lists are empty."""
        cosines, ids = self._search(np.ascontiguousarray(vectors))
        cosines = np.where(ids < 0, -np.inf, np.round(cosines, decimals)).astype(np.float32)
        best = cosines.max(axis=1, initial=-np.inf)
        first = np.where(cosines == best[:, None], ids, np.iinfo(np.int64).max).min(axis=1)
        found = np.isfinite(best)
        return np.where(found, first, -1), np.where(found, best, 0).astype(np.float32)

    def _search(self, vectors: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """(cosines, ids) of the `_EQUALS` nearest in all parts."""
        near, lists = self._quantizer.search(vectors, self._open.nprobe)
        parts = [part.search_preassigned(vectors, _EQUALS, lists, near) for part in (*self._full, self._open)]
        start = len(self) - self._open.ntotal
        cosines, ids = (np.concatenate(found, axis=1) for found in zip(*parts, strict=True))
        ids[:, -_EQUALS:][ids[:, -_EQUALS:] >= 0] += start
        cosines[ids < 0] = -np.inf
        most = np.argsort(-cosines, axis=1, kind="stable")[:, :_EQUALS]
        return np.take_along_axis(cosines, most, axis=1), np.take_along_axis(ids, most, axis=1)

    def _close(self) -> None:
        """Moves the open part's vectors into lists of just their size."""
        full = self._part()
        full.merge_from(self._open, len(self) - self._open.ntotal)
        self._full.append(full)
        self._open = self._part()

    def _part(self) -> Any:
        import faiss

        trained = self._trained
        part = faiss.IndexIVFFlat(self._quantizer, trained.d, trained.nlist, faiss.METRIC_INNER_PRODUCT)
        part.nprobe = min(PROBES, trained.nlist)
        return part


def _opened(vectors: NDArray[np.float32], folder: Path | None) -> Any:
    """The empty index: read from its file if that is valid, else trained and saved."""
    import faiss

    if folder is None:
        return _trained(vectors)
    path = folder / f"lists-{hashlib.sha256(np.ascontiguousarray(vectors).data).hexdigest()[:16]}.faiss"
    if path.exists():
        try:
            index = faiss.read_index(str(path))
            if index.d == vectors.shape[1] and index.is_trained and index.ntotal == 0:
                return index
            reason = "it is of other vectors"
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
        log.warning("%s cannot be used (%s); rebuilding it", path, reason)
    index = _trained(vectors)
    folder.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    faiss.write_index(index, str(fresh))
    os.replace(fresh, path)
    return index


def _trained(vectors: NDArray[np.float32]) -> Any:
    import faiss

    lists = max(1, min(_MOST_LISTS, len(vectors) // _PER_LIST))
    dimensions = vectors.shape[1]
    index = faiss.IndexIVFFlat(faiss.IndexFlatIP(dimensions), dimensions, lists, faiss.METRIC_INNER_PRODUCT)
    index.cp.spherical = True
    index.train(np.ascontiguousarray(vectors))
    return index
