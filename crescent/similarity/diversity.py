"""Measures how diverse a set of questions is.

In: texts and their unit vectors. Out: a `Diversity`. All measures except `distinct_*` use cosines, so they depend on
the embedder. Compare only sets of equal size, because most measures depend on it.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from crescent.similarity.pool import Pool
from crescent.similarity.words import words_of

CLUSTER_COSINE = 0.8
MOST = 100_000  # texts that are measured: see `measured`
_BLOCK = 2048


@dataclass(frozen=True, slots=True)
class Diversity:
    """Diversity of a set of `texts` texts.

    `nearest_*`: cosine of each text to its nearest other (mean and quantiles; lower is more diverse). `distinct_n`:
    different word n-grams / all word n-grams (Li et al., arXiv 1510.03055, section 5). `vendi`: the effective number of
    different texts, from 1 to `texts` (Vendi score, Friedman & Dieng, arXiv 2210.02410, definition 3.1, with cosines as
    the kernel). `largest_cluster`: share of texts in the largest cluster, when each text joins its nearest cluster
    leader at a cosine of at least 0.8, or else becomes a leader.
    """

    texts: int
    nearest_mean: float
    nearest_p50: float
    nearest_p90: float
    nearest_p99: float
    distinct_1: float
    distinct_2: float
    vendi: float
    largest_cluster: float

    def named(self, prefix: str) -> dict[str, float]:
        """{prefix/measure: value}, for logging."""
        return {f"{prefix}/{name}": value for name, value in asdict(self).items()}


def measured(texts: Sequence[str]) -> Sequence[str]:
    """The texts to measure: all, or `MOST` of them, evenly spaced, because time is quadratic in their number."""
    return texts if len(texts) <= MOST else [texts[place * len(texts) // MOST] for place in range(MOST)]


def measure(texts: Sequence[str], vectors: NDArray[np.float32]) -> Diversity:
    """Measures a set. Raises ValueError if it is empty. Time is quadratic in the number of texts; memory stays
    small.
    """
    if not texts:
        raise ValueError("diversity needs at least one text")
    nearest = nearest_other(vectors)
    words = [words_of(text.casefold()) for text in texts]
    return Diversity(
        texts=len(texts),
        nearest_mean=round(float(nearest.mean()), 4),
        nearest_p50=round(float(np.quantile(nearest, 0.5)), 4),
        nearest_p90=round(float(np.quantile(nearest, 0.9)), 4),
        nearest_p99=round(float(np.quantile(nearest, 0.99)), 4),
        distinct_1=round(distinct(words, 1), 4),
        distinct_2=round(distinct(words, 2), 4),
        vendi=round(vendi(vectors), 2),
        largest_cluster=round(largest_cluster(vectors), 4),
    )


def nearest_other(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each row's cosine to its nearest other row; 0 for a single row."""
    nearest = np.zeros(len(vectors), np.float32)
    if len(vectors) < 2:
        return nearest
    for start in range(0, len(vectors), _BLOCK):
        block = vectors[start : start + _BLOCK] @ vectors.T
        rows = np.arange(len(block))
        block[rows, start + rows] = -2
        nearest[start : start + len(block)] = block.max(axis=1)
    return nearest


def distinct(words: Sequence[Sequence[str]], n: int) -> float:
    """Different n-grams / all n-grams; 0 if there are none."""
    grams = [tuple(said[at : at + n]) for said in words for at in range(len(said) - n + 1)]
    return len(set(grams)) / len(grams) if grams else 0.0


def vendi(vectors: NDArray[np.float32]) -> float:
    """exp of the entropy of the eigenvalues of K / n (K: cosines), which are those of the d x d covariance."""
    scaled = vectors.astype(np.float64)
    eigenvalues = np.linalg.eigvalsh(scaled.T @ scaled / len(scaled))
    positive = eigenvalues[eigenvalues > 1e-12]
    return float(np.exp(-np.sum(positive * np.log(positive))))


def largest_cluster(vectors: NDArray[np.float32], min_cosine: float = CLUSTER_COSINE) -> float:
    """The share of rows in the largest cluster."""
    found = Pool(vectors.shape[1]).admit(vectors, min_cosine)
    leaders = np.where(found.admitted, found.ids, found.nearest)
    return float(np.bincount(leaders).max() / len(vectors))
