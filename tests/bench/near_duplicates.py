"""Are real near-duplicates found? GSM-Plus-mini's perturbed questions against a pool of their seeds and GSM8K train.

    CRESCENT_BENCHMARKS=DIR python tests/bench/near_duplicates.py

By perturbation type and `numbers`: the share whose nearest neighbour is the own seed, and the share judged a duplicate
at the default threshold (a duplicate of anything in the pool). 95 % intervals, normal approximation.
"""

import json
import math
import os
from collections import defaultdict
from pathlib import Path

import numpy as np

from crescent.dedup import Rejection
from crescent.similarity import EmbedderSettings, Pool, mask_numbers


def share(hits: list[bool]) -> str:
    mean = sum(hits) / len(hits)
    return f"{100 * mean:.1f} ± {196 * math.sqrt(mean * (1 - mean) / len(hits)):.1f}"


def main() -> None:
    folder = Path(os.environ["CRESCENT_BENCHMARKS"])
    plus = [json.loads(line) for line in (folder / "gsm_plus/testmini.jsonl").open(encoding="utf-8")]
    train = [json.loads(line)["question"] for line in (folder / "gsm8k/train.jsonl").open(encoding="utf-8")]
    seeds = sorted({row["seed_question"] for row in plus})
    embedder, min_cosine = EmbedderSettings().build(), Rejection().min_cosine
    print(f"{len(plus)} questions, pool of {len(seeds)} seeds and {len(train)} others; min_cosine {min_cosine}")
    print("| perturbation | n | numbers | nearest is the seed % | judged a duplicate % | median cosine to the seed |")
    print("|---|---|---|---|---|---|")
    for numbers in ("keep", "mask"):
        shown = mask_numbers if numbers == "mask" else str
        pool = Pool(384)
        known = [shown(text) for text in [*seeds, *train]]
        pool.add(embedder.embed(known))
        vectors = embedder.embed([shown(row["question"]) for row in plus])
        own = embedder.embed([shown(row["seed_question"]) for row in plus])
        nearest, cosines = pool.nearest(vectors)
        to_seed = np.einsum("nd,nd->n", vectors, own)
        rows: dict[str, list[int]] = defaultdict(list)
        for index, row in enumerate(plus):
            rows[row["perturbation_type"]].append(index)
            rows["all"].append(index)
        for kind, members in sorted(rows.items()):
            found = [known[nearest[i]] == shown(plus[i]["seed_question"]) for i in members]
            same = [bool(cosines[i] >= np.float32(min_cosine)) for i in members]
            median = np.median(to_seed[members])
            print(f"| {kind} | {len(members)} | {numbers} | {share(found)} | {share(same)} | {median:.3f} |")


if __name__ == "__main__":
    main()
