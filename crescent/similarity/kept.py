"""Vectors on disk: each text is embedded once, by the first run that needs it.

In: rows of (16-byte key, float32 vector). Out: the same rows after a restart. One append-only file of fixed-size rows,
each with a checksum: a torn last row (from a killed writer) is cut off, a damaged row is skipped and computed again.
Knows no texts and no model.
"""

import logging
import os
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

log = logging.getLogger(__name__)
Vectors = dict[bytes, NDArray[np.float32]]


class KeptVectors:
    """The file `texts-<dimensions>.bin` in `folder`: 1.56 GB per million vectors of 384 dimensions.

    (An old `vectors-<dimensions>.bin` is not read: it embeds only the beginning of long texts.)
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self) -> Vectors:
        """All complete rows. Rows with a wrong checksum are counted in a warning and skipped."""
        vectors: Vectors = {}
        for path in sorted(self._folder.glob("texts-*.bin")):
            rows = np.fromfile(path, _row(int(path.stem.partition("-")[2])))
            damaged = 0
            for row in rows:
                key, vector = row["key"].tobytes(), row["vector"]
                if zlib.crc32(vector.tobytes(), zlib.crc32(key)) == row["crc"]:
                    vectors[key] = vector
                else:
                    damaged += 1
            if damaged:
                log.warning("%s: %d of %d vectors are damaged; they will be recomputed", path, damaged, len(rows))
        return vectors

    def append(self, vectors: Mapping[bytes, NDArray[np.float32]]) -> None:
        """Appends rows; they are on disk when this returns. Parallel runs take turns."""
        if not vectors:
            return
        dimensions = len(next(iter(vectors.values())))
        rows = np.empty(len(vectors), _row(dimensions))
        for at, (key, vector) in enumerate(vectors.items()):
            rows[at] = (np.void(key), zlib.crc32(vector.tobytes(), zlib.crc32(key)), vector)
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"texts-{dimensions}.bin"
        with FileLock(self._folder / "lock"):
            if path.exists() and (torn := path.stat().st_size % rows.itemsize):
                os.truncate(path, path.stat().st_size - torn)
            with open(path, "ab") as file:
                file.write(rows.tobytes())
                file.flush()
                os.fsync(file.fileno())


def _row(dimensions: int) -> np.dtype:
    return np.dtype([("key", "V16"), ("crc", "<u4"), ("vector", "<f4", (dimensions,))])
