"""Peak memory and time of a training step with the logits in one piece and in chunks (`crescent/training/head.py`).

    python tests/bench/head_memory.py whole|chunks [--model smollm2_135m_gguf] [--pairs 16] [--tokens 400]

Run each way in a process of its own: the peak is the process's. Prints peak memory after loading and after two steps of
LoRA, in GB, and the seconds of the second step.
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from crescent.config.composing import composed
from crescent.core.console import Console
from crescent.experiment import Experiment
from crescent.training import head
from crescent.training.data import Example
from crescent.training.loop import train


def peak() -> float:
    """GB that this process has held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def main() -> None:
    """Measures one way."""
    parser = argparse.ArgumentParser()
    parser.add_argument("way", choices=("whole", "chunks"))
    parser.add_argument("--model", default="smollm2_135m_gguf")
    parser.add_argument("--pairs", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=400)
    options = parser.parse_args()
    if options.way == "whole":
        head.CHUNK_BYTES = 1 << 60
    experiment = Experiment.from_node(composed([f"model={options.model}"])).resolved()
    settings = experiment.train.resolved(experiment.model)
    settings = replace(settings, batch_size=options.pairs, epochs=2, max_length=options.tokens, checkpoint_every=1000)
    model, _ = settings.method.load(experiment.model)
    loaded, ends = peak(), list[float]()
    examples = [
        Example(str(n), tuple(5 + (n * 7 + at) % 1000 for at in range(options.tokens)), options.tokens // 4)
        for n in range(options.pairs)
    ]

    def curve(_metrics: Mapping[str, float], _step: int) -> None:
        ends.append(time.monotonic())

    with tempfile.TemporaryDirectory() as folder:
        train(model, examples, 0, settings, Path(folder), Console(quiet=True), curve)
    print(f"{options.way:<7} loaded {loaded:.2f} GB, peak {peak():.2f} GB, second step {ends[1] - ends[0]:.1f} s")


if __name__ == "__main__":
    main()
