"""Generation at the shape of Llama-3-8B with random weights: new tokens per second, padded and continuous batches.

Rates are by batch size, and as a share of the bound that memory bandwidth sets.

    python tests/bench/gpu_generation.py [--rows 1,8,32,128,256] [--prompt 128] [--new 256] [--small]

Every step reads all weights and the keys and values of all rows; bandwidth is measured in the same call, by copying a
tensor of 2 GB. Peak memory is set against weights plus the cache of all rows. `--small` runs a small shape wherever it
is, to try the script. Needs a GPU with 24 GB or more.
"""

import argparse
import time
from statistics import median
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from crescent.config.resolvers import PACKAGE
from crescent.engines import Prompt, Sampling
from crescent.engines.device import best_device
from crescent.engines.memory import cache_bytes_per_token, gigabytes
from crescent.engines.transformers.cache import ROOM
from crescent.engines.transformers.continuous import why_not
from crescent.engines.transformers.engine import TransformersEngine
from crescent.engines.weights import Weights, load_tokenizer

SHAPES = {
    "8b": {"vocab_size": 128_256, "hidden_size": 4096, "intermediate_size": 14_336, "num_hidden_layers": 32,
               "num_attention_heads": 32, "num_key_value_heads": 8},
    "small": {"vocab_size": 4096, "hidden_size": 256, "intermediate_size": 704, "num_hidden_layers": 4,
                  "num_attention_heads": 8, "num_key_value_heads": 2},
}  # fmt: skip


def random_model(shape: str, device: str) -> Any:
    """A Llama of this shape in bfloat16 (float32 on a CPU), its weights drawn at random where they will be."""
    options: dict[str, Any] = {**SHAPES[shape], "max_position_embeddings": 8192}
    torch.manual_seed(0)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32 if device == "cpu" else torch.bfloat16)
    try:
        with torch.device(device):
            return LlamaForCausalLM(LlamaConfig(**options)).eval()
    finally:
        torch.set_default_dtype(before)


def synchronize(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def bandwidth(device: str, size: int) -> float:
    """Bytes per second, read and written, of a copy; the median of ten."""
    source = torch.empty(size, dtype=torch.uint8, device=device)
    target, seconds = torch.empty_like(source), []
    for _ in range(10):
        synchronize(device)
        start = time.perf_counter()
        target.copy_(source)
        synchronize(device)
        seconds.append(time.perf_counter() - start)
    return 2 * size / median(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default="1,8,32,128,256")
    parser.add_argument("--prompt", type=int, default=128, help="tokens")
    parser.add_argument("--new", type=int, default=256, help="tokens")
    parser.add_argument("--small", action="store_true")
    options = parser.parse_args()
    device = best_device()
    rate = bandwidth(device, (64 << 20) if options.small else (2 << 30))
    model = random_model("small" if options.small else "8b", device)
    tokenizer = load_tokenizer(Weights("organism", str(PACKAGE / "organism" / "weights" / "organism")))
    weights = model.num_parameters() * model.dtype.itemsize
    per_token = cache_bytes_per_token(model.config, model.dtype.itemsize)
    name = torch.cuda.get_device_name() if device == "cuda" else device
    print(f"{name}: {rate / 1e9:,.0f} GB/s; {model.num_parameters():,} parameters, {gigabytes(weights)}")
    text = " ".join(["apple"] * options.prompt)
    length = len(tokenizer(text, add_special_tokens=False)["input_ids"])  # pyright: ignore[reportArgumentType]
    kinds = ["padded"] if why_not(model) else ["padded", "continuous"]
    for rows in map(int, options.rows.split(",")):
        for kind in kinds:
            engine: Any = TransformersEngine(model, tokenizer, "bench", rows, kind)  # pyright: ignore
            asked = [Prompt(f"{row} {text}", row, rendered=True) for row in range(rows)]
            engine.generate(asked[:1], Sampling(max_new_tokens=8))
            if device == "cuda":
                torch.cuda.reset_peak_memory_stats()
            synchronize(device)
            start = time.perf_counter()
            made = engine.generate(asked, Sampling(max_new_tokens=options.new))
            synchronize(device)
            found = sum(one.new_tokens for one in made) / (time.perf_counter() - start)
            step = weights + rows * (length + options.new / 2) * per_token
            bound = rows * rate / step
            line = f"{kind:<10} {rows:>4} rows: {found:>10,.0f} new tokens/s, {found / bound:6.1%} of the bound"
            if device == "cuda":
                peak = torch.cuda.max_memory_allocated()
                estimate = weights + rows * (length + options.new + ROOM) * per_token
                line += f"; peak {gigabytes(peak)}, {peak / estimate:.2f} of the estimate"
            print(line, flush=True)


if __name__ == "__main__":
    main()
