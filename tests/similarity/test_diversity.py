"""Diversity measures on sets whose diversity is known."""

import numpy as np
import pytest

from crescent.similarity import unit_rows
from crescent.similarity.diversity import distinct, largest_cluster, measure, measured, nearest_other, vendi
from crescent.similarity.words import words_of


def test_copies_count_as_one_text_and_unrelated_ones_as_many() -> None:
    copies, different = np.repeat(np.eye(8, dtype=np.float32)[:1], 8, axis=0), np.eye(8, dtype=np.float32)
    assert vendi(copies) == pytest.approx(1) and vendi(different) == pytest.approx(8)
    assert vendi(np.concatenate([different, different])) == pytest.approx(8)
    assert (largest_cluster(copies), largest_cluster(different)) == (1.0, 0.125)


def test_vendi_is_the_entropy_of_the_whole_kernel() -> None:
    vectors = unit_rows(np.random.default_rng(0).normal(size=(50, 12)))
    eigenvalues = np.linalg.eigvalsh(vectors.astype(float) @ vectors.T.astype(float) / 50)
    positive = eigenvalues[eigenvalues > 1e-12]
    assert vendi(vectors) == pytest.approx(np.exp(-np.sum(positive * np.log(positive))), rel=1e-6)


def test_the_nearest_other_is_never_the_text_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = unit_rows(np.random.default_rng(1).normal(size=(40, 12)))
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -2)
    monkeypatch.setattr("crescent.similarity.diversity._BLOCK", 7)
    assert np.allclose(nearest_other(vectors), cosines.max(axis=1), atol=1e-6)
    assert nearest_other(vectors[:1]).tolist() == [0.0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Ann has 12.", ["Ann", "has", "12."]),
        ("한국어 문제", ["한국어", "문제"]),  # Korean has spaces
        ("小明有15.5个苹果，小红 has", ["小明", "明有", "15.5", "个苹", "苹果", "小红", "has"]),
        ("カードを3 を", ["カー", "ード", "ドを", "3", "を"]),
        ("มี 5 ผล", ["มี", "5", "ผล"]),
        (" ", []),
    ],
)
def test_words_are_pairs_of_characters_where_a_script_has_no_spaces(text: str, words: list[str]) -> None:
    assert words_of(text) == words


def test_distinct_counts_different_n_grams() -> None:
    assert distinct([["a", "b", "a"]], 1) == pytest.approx(2 / 3)
    assert distinct([["a", "b"], ["a", "b"]], 2) == 0.5
    assert distinct([["a"]], 2) == 0.0


def test_all_measures_have_a_name_for_the_logs() -> None:
    named = measure(["one two", "three four"], np.eye(2, dtype=np.float32)).named("after")
    assert named["after/vendi"] == 2.0 and named["after/texts"] == 2 and named["after/distinct_1"] == 1.0
    with pytest.raises(ValueError, match="at least one text"):
        measure([], np.empty((0, 2), np.float32))


def test_of_very_many_texts_an_evenly_spaced_part_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crescent.similarity.diversity.MOST", 4)
    assert measured("abcd") == "abcd"
    assert list(measured("abcdefghij")) == ["a", "c", "f", "h"]
