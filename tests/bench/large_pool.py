"""A pool of a million vectors: are its decisions those of exact search, and what does it cost?

    python tests/bench/large_pool.py [--vectors 1000000] [--queries 4000]

Unit vectors of 384 dimensions in clusters of uneven size, as questions lie around kinds of question. Queries are half
planted near-duplicates (a pool vector turned by an angle whose cosine lies within 0.1 of the threshold, on both sides)
and half new vectors of the same clusters. A decision is "cosine to the nearest at least the threshold".
"""

import argparse
import resource
import time

import numpy as np

from crescent.similarity import Pool, unit_rows

DIMENSIONS, MIN_COSINE, CLUSTERS = 384, 0.85, 20_000


def clustered(count: int, seed: int, centres: np.ndarray, chances: np.ndarray) -> np.ndarray:
    """Rows around centres: two of one centre have a cosine of about 0.7."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((count, DIMENSIONS), dtype=np.float32) * (0.65 / np.sqrt(DIMENSIONS))
    return unit_rows(centres[rng.choice(len(centres), count, p=chances)] + noise)


def planted(pool: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Rows whose cosine to one pool vector is uniform within 0.1 of the threshold."""
    rng = np.random.default_rng(seed)
    base = pool[rng.integers(len(pool), size=count)]
    other = rng.standard_normal((count, DIMENSIONS), dtype=np.float32)
    other = unit_rows(other - np.einsum("nd,nd->n", other, base)[:, None] * base)
    cosine = rng.uniform(MIN_COSINE - 0.1, MIN_COSINE + 0.1, count).astype(np.float32)[:, None]
    return unit_rows(cosine * base + np.sqrt(1 - cosine**2) * other)


def exact(vectors: np.ndarray, queries: np.ndarray) -> np.ndarray:
    best = np.full(len(queries), -1, np.float32)
    for start in range(0, len(vectors), 50_000):
        best = np.maximum(best, (queries @ vectors[start : start + 50_000].T).max(axis=1))
    return np.round(best, 4)


def resident() -> float:
    """Gigabytes in memory now."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vectors", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=4_000)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    centres = unit_rows(rng.standard_normal((CLUSTERS, DIMENSIONS), dtype=np.float32))
    chances = rng.pareto(1.2, CLUSTERS) + 0.05
    chances /= chances.sum()
    vectors = clustered(options.vectors, 1, centres, chances)
    before = resident()
    pool = Pool(DIMENSIONS)
    print("| vectors | search | add: us a vector | query: us a vector | same decisions % | planted only % | GB more |")
    print("|---|---|---|---|---|---|---|")
    sizes = [size for size in (10_000, 30_000, 100_000, 200_000, 300_000, 1_000_000) if size <= options.vectors]
    for size in sizes:
        fresh = vectors[len(pool) : size]
        start = time.perf_counter()
        for at in range(0, len(fresh), 10_000):
            pool.add(fresh[at : at + 10_000])
        adding = (time.perf_counter() - start) / len(fresh)
        half = options.queries // 2
        queries = np.concatenate([planted(vectors[:size], half, 2), clustered(half, 3, centres, chances)])
        start = time.perf_counter()
        found = [pool.nearest(queries[at : at + 100])[1] for at in range(0, len(queries), 100)]
        asking = (time.perf_counter() - start) / len(queries)
        wanted = exact(vectors[:size], queries) >= np.float32(MIN_COSINE)
        same = (np.concatenate(found) >= np.float32(MIN_COSINE)) == wanted
        print(
            f"| {size:,} | {'exact' if pool.is_exact else 'lists'} | {1e6 * adding:.0f} | {1e6 * asking:.0f} "
            f"| {100 * same.mean():.2f} | {100 * same[:half].mean():.2f} | {resident() - before:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
