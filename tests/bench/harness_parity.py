"""Are our scores those of lm_eval run by hand, to the last digit? Whole files, the organism and a tiny random Llama.

    CRESCENT_BENCHMARKS=DIR python tests/bench/harness_parity.py [--limit N] [--tasks gsm8k ...] [--shots 0 5]
                                                                 [--models organism adapter tiny] [--tokens 96]

By hand is `lm_eval.simple_evaluate` with the harness's own HFLM and tasks, told only where the rows are; `adapter` is
the organism with a LoRA adapter, merged by us, loaded beside the weights by the harness. One line a comparison: the
primary score on both sides, how many of all values and standard errors differ, how many replies differ.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parents[1]))

from conftest import save_tiny_model
from evaluation.by_hand import ROWS, compare, save_adapter

import crescent.organism
from crescent.engines.weights import Weights, load

ORGANISM = Path(crescent.organism.__file__).parent / "weights" / "organism"


def models(names: list[str], folder: Path) -> dict[str, tuple[Any, Any, dict[str, Any]]]:
    """(model, tokenizer, how the harness loads it instead) by name."""
    made: dict[str, tuple[Any, Any, dict[str, Any]]] = {}
    organism = Weights("organism", str(ORGANISM))
    for name in names:
        if name == "organism":
            made[name] = (*load(organism, "cpu"), {})
        elif name == "adapter":
            adapter = save_adapter(ORGANISM, folder / "adapter")
            beside = {"pretrained": organism.path, "peft": str(adapter), "dtype": "float32"}
            made[name] = (*load(organism.with_adapter(adapter, "bench"), "cpu"), beside)
        else:
            made[name] = (*load(Weights("tiny", str(save_tiny_model(folder / "tiny"))), "cpu"), {})
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--tasks", nargs="+", default=list(ROWS), choices=list(ROWS))
    parser.add_argument("--shots", nargs="+", type=int, default=[0, 5])
    parser.add_argument("--models", nargs="+", default=["organism", "adapter", "tiny"])
    parser.add_argument("--tokens", type=int, default=96, help="most new tokens of a reply")
    options = parser.parse_args()
    data = os.environ.get("CRESCENT_BENCHMARKS") or sys.exit("set CRESCENT_BENCHMARKS to the folder of benchmark files")
    with tempfile.TemporaryDirectory() as folder:
        for name, (model, tokenizer, hflm) in models(options.models, Path(folder)).items():
            for task in options.tasks:
                for shots in options.shots:
                    start = time.monotonic()
                    done = compare(task, shots, model, tokenizer, data, options.limit, options.tokens, **hflm)
                    key = "exact_match,flexible-extract"
                    unequal = [one for one in done.theirs if done.theirs[one] != done.ours.get(one)]
                    print(
                        f"{name:9} {task:16} {shots}-shot {done.items:5} items  ours {done.ours[key]:.6f}  by hand "
                        f"{done.theirs[key]:.6f}  values that differ {len(unequal)} of {len(done.theirs)}  "
                        f"replies that differ {done.replies_differ}  {time.monotonic() - start:.0f} s",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
