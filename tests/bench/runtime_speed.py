"""Generation and embedding in this process against two workers of a Ray cluster of this machine.

    python tests/bench/runtime_speed.py            # both use the same number of processors; minutes

Prints seconds of each, the start of the cluster and of its workers apart, and whether the results are equal.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from crescent.config.resolvers import PACKAGE
from crescent.engines import Prompt, Sampling
from crescent.engines.transformers import TransformersSettings
from crescent.engines.weights import Weights
from crescent.runtime.local import LocalBackend, RayRuntime
from crescent.similarity import EmbedderSettings

ORGANISM = Weights("organism", str(PACKAGE / "organism" / "weights" / "organism"))


def measure(name: str, place: Any, prompts: list[Prompt], texts: list[str]) -> tuple[Any, Any]:
    """One pass: the start (models loaded, a first completion and vector made) apart from the work."""
    sampling = Sampling(max_new_tokens=120)
    start = time.perf_counter()
    engine = place.engine(TransformersSettings(device="cpu"), ORGANISM, "bench")
    engine.generate(prompts[:2], sampling)
    with tempfile.TemporaryDirectory() as folder:
        embedder = place.embedder(EmbedderSettings(), Path(folder))
        embedder.embed(["one text", "and another"])
        ready = time.perf_counter()
        made = engine.generate(prompts, sampling)
        generated = time.perf_counter()
        vectors = embedder.embed(texts)
        embedded = time.perf_counter()
    tokens = sum(one.new_tokens for one in made)
    rate = f"{tokens / (generated - ready):,.0f} tokens/s, {len(texts) / (embedded - generated):,.0f} texts/s"
    print(f"| {name} | {ready - start:.1f} s | {generated - ready:.1f} s | {embedded - generated:.1f} s | {rate} |")
    return made, vectors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=2000)
    parser.add_argument("--texts", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 2)
    options = parser.parse_args()
    prompts = [Prompt(f"Tom has {n} apples and buys {n % 7} more. How many are there?") for n in range(options.prompts)]
    texts = [
        f"Tom has {n} apples and buys {n % 7} more. How many are there?" * (1 + n % 3) for n in range(options.texts)
    ]
    print("| where | start | generation | embedding | rate |\n|---|---|---|---|---|")
    here = measure("this process", LocalBackend(), prompts, texts)
    with RayRuntime(workers=options.workers).start() as place:
        there = measure(f"Ray, {options.workers} workers", place, prompts, texts)
    print("equal completions:", here[0] == there[0], "equal vectors:", np.array_equal(here[1], there[1]))


if __name__ == "__main__":
    main()
