"""Training tokens per second packed, padded and length-grouped, against the ceiling that padding sets.

    [CRESCENT_BENCHMARKS=DIR] python tests/bench/train_layouts.py [--data organism|gsm8k] [--steps 8] [--rounds 5]

LoRA of the organism, 32 sequences a step, in float32. Each round trains the same pairs in each layout, in random
turn; ratios are paired by round. Tokens are real ones (no padding), seconds those of the processor on one thread for
the whole training call, so that other work on the machine does not count. The ceiling is padded tokens over real ones
in a plain random order: what leaving out the padding could bring where each token costs the same. Packed and padded
take the same sequences in the same steps: the last line compares their losses.
"""

import argparse
import random
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import geometric_mean

import torch
from training_data import ORGANISM, SETTINGS, examples

from crescent.core.console import Console
from crescent.training.batch_schedule import plan_steps
from crescent.training.batching import Packed, Padded
from crescent.training.data import Example
from crescent.training.loop import train

LAYOUTS = {"padded": Padded(1), "grouped": Padded(16), "packed": Packed(1), "grouped and packed": Packed(16)}


def once(name: str, data: list[Example]) -> tuple[float, list[float]]:
    """(seconds, losses) of one training."""
    settings = replace(SETTINGS, batching=LAYOUTS[name])
    torch.manual_seed(0)
    model, _ = settings.method.load(ORGANISM)
    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        steps = train(model, data, 0, settings, Path(folder), Console(quiet=True))
        return time.process_time() - start, [step.loss for step in steps]


def padding(name: str, data: list[Example]) -> float:
    """Tokens with padding over tokens without."""
    lengths = [len(example.ids) for example in data]
    steps = plan_steps(lengths, SETTINGS.batch_size, 1, SETTINGS.seed, LAYOUTS[name].pool_batches)
    return sum(len(step.rows) * max(lengths[row] for row in step.rows) for step in steps) / sum(lengths)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=["organism", "gsm8k"], default="organism")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    data = examples(options.data, 32 * options.steps)
    tokens = sum(len(example.ids) for example in data)
    for name in LAYOUTS:
        once(name, data[:64])  # what is slow once: threads, kernels, caches
    seconds: dict[str, list[float]] = {name: [] for name in LAYOUTS}
    losses: dict[str, list[float]] = {}
    for turn in range(options.rounds):
        for name in random.Random(turn).sample(list(LAYOUTS), len(LAYOUTS)):
            spent, losses[name] = once(name, data)
            seconds[name].append(spent)
            print(f"  round {turn}, {name}: {spent:.1f} s", file=sys.stderr, flush=True)
    ceiling = padding("padded", data)
    print(f"{options.data}: {len(data)} pairs, {tokens / len(data):.0f} tokens each, ceiling {ceiling:.3f}")
    print("| layout | tokens/CPU s (median) | padding | times padded (range) | share of the ceiling % |")
    print("|---|---|---|---|---|")
    for name, found in seconds.items():
        ratios = [base / own for base, own in zip(seconds["padded"], found, strict=True)]
        ratio, middle = geometric_mean(ratios), sorted(found)[len(found) // 2]
        padded = 1.0 if "packed" in name else padding(name, data)
        print(
            f"| {name} | {tokens / middle:,.0f} | {padded:.3f} | {ratio:.2f} ({min(ratios):.2f} to {max(ratios):.2f}) "
            f"| {100 * ratio / ceiling:.0f} |"
        )
    for one, other in (("padded", "packed"), ("grouped", "grouped and packed")):
        apart = max(abs(a - b) / a for a, b in zip(losses[one], losses[other], strict=True))
        print(f"losses of {one} and {other}: at most {apart:.1e} apart (relative)")


if __name__ == "__main__":
    main()
