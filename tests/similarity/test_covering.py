"""A subset that covers most: facility location."""

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from crescent.similarity import covering, unit_rows
from crescent.similarity.covering import cover, coverage


def texts(count: int, clusters: int = 8, seed: int = 0) -> NDArray[np.float32]:
    """Vectors in turn around each of `clusters` directions."""
    made = np.random.default_rng(seed)
    centres = made.normal(size=(clusters, 16))
    return unit_rows(centres[np.arange(count) % clusters] + 0.3 * made.normal(size=(count, 16)))


def total(vectors: NDArray[np.float32], chosen: NDArray[np.int64]) -> float:
    return float(np.maximum(vectors @ vectors[chosen].T, 0).max(axis=1).sum())


def naive(vectors: NDArray[np.float32], count: int) -> list[int]:
    """The greedy algorithm without laziness, on cosines of four decimals."""
    cosines = np.rint(np.maximum(vectors @ vectors.T, 0) * 10_000).astype(np.int64)
    reached, chosen = np.zeros(len(vectors), np.int64), list[int]()
    for _ in range(count):
        gains = np.maximum(cosines - reached[:, None], 0).sum(axis=0)
        gains[chosen] = -1
        chosen.append(int(gains.argmax()))
        reached = np.maximum(reached, cosines[:, chosen[-1]])
    return chosen


def test_lazy_choices_are_those_of_the_plain_greedy_algorithm_and_their_beginnings_too() -> None:
    vectors = texts(150)
    assert cover(vectors, 40).tolist() == naive(vectors, 40)
    assert cover(vectors, 12).tolist() == cover(vectors, 40).tolist()[:12]


def test_it_reaches_what_the_theory_promises_of_the_best_subset() -> None:
    vectors = texts(14)
    best = max(total(vectors, np.array(chosen)) for chosen in itertools.combinations(range(14), 3))
    assert total(vectors, cover(vectors, 3)) >= (1 - 1 / np.e) * best


def test_the_first_choices_are_of_different_clusters() -> None:
    vectors = texts(400)[np.argsort(np.arange(400) % 8, kind="stable")]  # 50 texts of each cluster, one after another
    assert sorted(cover(vectors, 8) // 50) == list(range(8))
    assert coverage(vectors, cover(vectors, 8)) > coverage(vectors, np.arange(8)) + 0.3


def test_equal_texts_are_chosen_once_and_last_in_their_order() -> None:
    vectors = np.repeat(np.eye(3, dtype=np.float32), 3, axis=0)
    assert cover(vectors, 9).tolist() == [0, 3, 6, 1, 2, 4, 5, 7, 8]
    assert cover(vectors, 99).tolist() == cover(vectors, 9).tolist()


def test_with_a_bound_on_memory_it_covers_nearly_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = texts(1500)
    exact = total(vectors, cover(vectors, 60))
    monkeypatch.setattr(covering, "MIN_COVERED", 400)
    monkeypatch.setattr(covering, "MAX_COSINES", 400 * 100)
    bounded = cover(vectors, 60)
    assert len(set(bounded.tolist())) == 60
    first = total(vectors, np.arange(60))
    assert exact > total(vectors, bounded) > first + 0.8 * (exact - first)
