"""What deciding on duplicates costs beside embedding, on real questions; and whether decisions equal brute force.

    CRESCENT_BENCHMARKS=DIR python tests/bench/similarity_speed.py [--pairs 3] [--limit N]

The questions of GSM8K train, GSM-Plus-mini and ASDiv in random order, judged in rounds of 100 by `dedup=drop`. Pairs: a
whole pass with nothing embedded before, and one call that embeds all of them, in random turn.
"""

import argparse
import json
import os
import random
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import geometric_mean

import numpy as np

from crescent.dedup import Candidate, Drop, Tools
from crescent.similarity import Embedder, EmbedderSettings, Pool

ROUND = 100
MIN_COSINE = Drop().min_cosine


def questions(folder: Path) -> list[str]:
    """All of them, in random order."""
    texts = []
    for name in ("gsm8k/train.jsonl", "gsm_plus/testmini.jsonl", "asdiv/validation.jsonl"):
        for line in (folder / name).open(encoding="utf-8"):
            row = json.loads(line)
            texts.append(f"{row.get('body', '')} {row['question']}".strip())
    random.Random(0).shuffle(texts)
    return texts


def drop_pass(texts: Sequence[str], embedder: Embedder) -> tuple[float, float]:
    """(seconds of the whole pass, seconds of it spent on embedding)."""
    spent = 0.0

    def embed(batch: Sequence[str]) -> np.ndarray:
        nonlocal spent
        start = time.perf_counter()
        vectors = embedder.embed(batch)
        spent += time.perf_counter() - start
        return vectors

    start = time.perf_counter()
    judge = Drop().open(Tools(embed, lambda rewrites: []))
    for first in range(0, len(texts), ROUND):
        judge.judge([Candidate(text, text, first // ROUND, at) for at, text in enumerate(texts[first : first + ROUND])])
    return time.perf_counter() - start, spent


def brute_force(vectors: np.ndarray) -> list[bool]:
    """Each vector against every one admitted before, in double precision."""
    admitted: list[int] = []
    decisions = []
    wide = vectors.astype(np.float64)
    for row, vector in enumerate(wide):
        cosine = np.round(wide[admitted] @ vector, 4).max() if admitted else -1.0
        decisions.append(bool(cosine < MIN_COSINE))
        admitted += [row] * decisions[-1]
    return decisions


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--limit", type=int)
    options = parser.parse_args()
    texts = questions(Path(os.environ["CRESCENT_BENCHMARKS"]))[: options.limit]
    warm = EmbedderSettings().build()
    warm.embed(texts[:200])
    ratios, shares = [], []
    for pair in range(options.pairs):
        seconds = {}
        for what in random.Random(pair).sample(["pass", "call"], 2):
            fresh = EmbedderSettings().build()
            fresh.embed(["load the model"])
            if what == "pass":
                seconds[what], embedding = drop_pass(texts, fresh)
                shares.append((seconds[what] - embedding) / embedding)
            else:
                start = time.perf_counter()
                vectors = fresh.embed(texts)
                seconds[what] = time.perf_counter() - start
        ratios.append(seconds["pass"] / seconds["call"])
        print(f"pair {pair}: pass {seconds['pass']:.1f} s, one call {seconds['call']:.1f} s", flush=True)
    print(f"{len(texts)} questions in rounds of {ROUND}, dedup=drop, min_cosine {MIN_COSINE}")
    print(f"pass / one call: {geometric_mean(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})")
    print(f"deciding / embedding: {100 * np.mean(shares):.1f} % ({100 * min(shares):.1f} to {100 * max(shares):.1f})")
    vectors = EmbedderSettings().build().embed(texts)
    made = Pool(vectors.shape[1]).admit(vectors, MIN_COSINE).admitted.tolist()
    wanted = brute_force(vectors)
    differ = sum(a != b for a, b in zip(made, wanted, strict=True))
    print(f"kept {sum(made)}; decisions that differ from brute force: {differ}")


if __name__ == "__main__":
    main()
