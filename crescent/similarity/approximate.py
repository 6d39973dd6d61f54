"""Nearest neighbours in pools too large for exact search: inverted lists over unit vectors (FAISS, IVF-Flat).

In: float32 unit rows. Out: ids and cosines of neighbours that are almost always the nearest: cosines are exact, but
only the lists nearest to a query are searched. Memory: 4 bytes x dimensions + 8 per vector, 1.55 GB per million at 384,
and up to half as much again while lists grow (2.3 GB measured). Source: Jegou et al., "Product quantization for nearest
neighbor search", section IV (without codes).
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
_EQUALS = 8  # neighbours fetched, to find the lowest id among equal cosines


class InvertedLists:
    """Lists around centroids, trained once from the first vectors and kept in `folder` for later runs.

    Training is deterministic for the same vectors on the same machine; the kept file makes centroids equal on all
    machines.
    """

    def __init__(self, vectors: NDArray[np.float32], folder: Path | None = None) -> None:
        self._index = _opened(vectors, folder)
        self._index.nprobe = PROBES
        self.add(vectors)

    def __len__(self) -> int:
        return self._index.ntotal

    def add(self, vectors: NDArray[np.float32]) -> None:
        """Adds vectors; ids continue from the last."""
        self._index.add(np.ascontiguousarray(vectors))

    def nearest(self, vectors: NDArray[np.float32], decimals: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """(ids, cosines rounded to `decimals`); -1 and 0.0 if all searched lists are empty."""
        cosines, ids = self._index.search(np.ascontiguousarray(vectors), _EQUALS)
        cosines = np.where(ids < 0, -np.inf, np.round(cosines, decimals)).astype(np.float32)
        best = cosines.max(axis=1, initial=-np.inf)
        first = np.where(cosines == best[:, None], ids, np.iinfo(np.int64).max).min(axis=1)
        found = np.isfinite(best)
        return np.where(found, first, -1), np.where(found, best, 0).astype(np.float32)


def _opened(vectors: NDArray[np.float32], folder: Path | None) -> Any:
    """The empty index: read from its file if that is valid, else trained and saved."""
    import faiss

    if folder is None:
        return _trained(vectors)
    path = folder / f"lists-{hashlib.sha256(vectors.tobytes()).hexdigest()[:16]}.faiss"
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
