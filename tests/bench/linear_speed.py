"""Products of a linear layer with packed weights, beside `torch.nn.functional.linear`, by shape and rows.

    python tests/bench/linear_speed.py [--dtype float32] [--rounds 30]

Weights are taken in turn from so many copies that they are not in the cache, as in a model. Both run in turn; a ratio
is of the two runs of one round.
"""

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from statistics import median, quantiles

import torch
from torch.nn import functional

from crescent.engines.transformers.packed import MANY_ROWS

SHAPES = ((192, 192), (576, 192), (4096, 192), (256, 768), (768, 768), (2048, 768), (768, 2048), (16384, 768))
ROWS = (1, 4, 8, 16, 32, 64, 100, 256, 1024)
BYTES = 128 << 20  # of copies
WARM = 3  # rounds that are not counted


@contextmanager
def timed(into: list[float]) -> Iterator[None]:
    start = time.perf_counter()
    yield
    into.append(time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--rounds", type=int, default=30)
    options = parser.parse_args()
    dtype, mkldnn = getattr(torch, options.dtype), torch.ops.mkldnn
    print("out x in, rows: GFLOP/s of linear and of packed; packed / linear (quartiles)")
    with torch.inference_mode():
        for out, inside in SHAPES:
            copies = max(1, BYTES // (out * inside * dtype.itemsize))
            plain = [torch.randn(out, inside).to(dtype) for _ in range(copies)]
            packed = [mkldnn._reorder_linear_weight(weight, MANY_ROWS) for weight in plain]
            for rows in ROWS:
                given, pairs = torch.randn(rows, inside).to(dtype), cycle(zip(plain, packed, strict=True))
                one: list[float] = []
                two: list[float] = []
                for _ in range(options.rounds + WARM):
                    weight, reordered = next(pairs)
                    with timed(one):
                        functional.linear(given, weight)
                    with timed(two):
                        mkldnn._linear_pointwise(given, reordered, None, "none", [], "")
                one, two, work = one[WARM:], two[WARM:], 2 * rows * out * inside / 1e9
                low, middle, high = quantiles([first / second for first, second in zip(one, two, strict=True)], n=4)
                plain_rate, packed_rate = work / median(one), work / median(two)
                print(f"{out} x {inside}, {rows}: {plain_rate:.0f} and {packed_rate:.0f}; "
                      f"{middle:.2f} ({low:.2f} to {high:.2f})", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
