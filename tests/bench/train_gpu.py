"""LoRA training of an 8B Llama shape with random weights at 2,048-token packs: tokens/s, FLOP utilisation, memory.

    python tests/bench/train_gpu.py [--steps 10] [--checkpointing] [--liger] [--small]

Needs one CUDA GPU (bfloat16); `--small` runs a small shape anywhere. Sequences are random ids of 100 to 700 tokens,
as solved word problems are, 32 a step, packed end to end in rows of at most 2,048 tokens. Utilisation: 4 FLOP for
each frozen weight of a linear layer and token (of the output head only at positions that carry loss), 6 for those of
the adapter, attention left out, as a share of the matrix rate measured in this call (bfloat16, 8192 x 8192). With
--checkpointing the layers are computed twice; the FLOP counted stay the same. Peak memory is compared with what
`crescent.training.estimate` says. Prints one line of JSON.
"""

import argparse
import json
import tempfile
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import torch
from training_data import LORA, SETTINGS
from transformers import LlamaConfig, LlamaForCausalLM

from crescent.core.console import Console
from crescent.engines.weights import Weights
from crescent.training.batching import Packed
from crescent.training.data import Example
from crescent.training.estimate import Corpus, estimate
from crescent.training.loop import train

PACK = 2048
SHAPES: dict[bool, dict[str, Any]] = {
    False: {"vocab_size": 128256, "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
            "num_attention_heads": 32, "num_key_value_heads": 8, "max_position_embeddings": 8192},
    True: {"vocab_size": 4096, "hidden_size": 256, "intermediate_size": 768, "num_hidden_layers": 4,
           "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 8192},
}  # fmt: skip


def sequences(count: int, vocabulary: int) -> list[Example]:
    """Random ids, as long as solved word problems are."""
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(100, 700, (count,), generator=generator).tolist()
    rows = [torch.randint(3, vocabulary, (length,), generator=generator).tolist() for length in lengths]
    return [Example(str(row), tuple(ids), len(ids) // 3) for row, ids in enumerate(rows)]


def matrix_rate(device: torch.device, dtype: torch.dtype) -> float:
    """FLOP per second of the largest square product that is worth measuring here."""
    size = 8192 if device.type == "cuda" else 1024
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    times = []
    for _ in range(20):
        _wait(device)
        start = time.perf_counter()
        torch.mm(a, b)
        _wait(device)
        times.append(time.perf_counter() - start)
    return 2 * size**3 / median(times)


def build(shape: dict[str, Any], dtype: torch.dtype, device: torch.device) -> Any:
    """A random model, made where it trains: on a CPU eight billion random numbers take minutes."""
    torch.manual_seed(0)
    torch.set_default_dtype(dtype)
    try:
        with device:
            model = LlamaForCausalLM(LlamaConfig(**shape))
    finally:
        torch.set_default_dtype(torch.float32)
    return LORA.adapt(model, Weights("random", "."))


def flops(model: Any, data: list[Example]) -> float:
    """Of an epoch."""
    tokens, targets = sum(len(example.ids) for example in data), sum(example.target_tokens for example in data)
    head = model.get_base_model().get_output_embeddings()
    total = 4.0 * targets * head.weight.numel()
    for part in model.modules():
        if isinstance(part, torch.nn.Linear) and part is not head:
            total += (6.0 if part.weight.requires_grad else 4.0) * tokens * part.weight.numel()
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--checkpointing", action="store_true")
    parser.add_argument("--liger", action="store_true", help="fused kernels (pip install liger-kernel)")
    parser.add_argument("--small", action="store_true")
    options = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.type == "cpu" and not options.small:
        parser.error("an 8B model needs a CUDA GPU; --small runs a small shape here")
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    data = sequences(32 * options.steps, SHAPES[options.small]["vocab_size"])
    settings = replace(
        SETTINGS, batching=Packed(1), micro_batch_tokens=PACK, learning_rate=1e-4,
        gradient_checkpointing=options.checkpointing, kernels="liger" if options.liger else "none",
        precision="bf16-mixed" if device.type == "cuda" else "32-true",
    )  # fmt: skip
    model = build(SHAPES[options.small], dtype, device)
    rate = matrix_rate(device, dtype)
    ends: list[float] = []

    def curve(metrics: Any, step: int) -> None:
        _wait(device)
        ends.append(time.perf_counter())

    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    with tempfile.TemporaryDirectory() as folder:
        train(model, data, 0, settings, Path(folder), Console(quiet=True), curve)
    took = [after - before for before, after in pairwise(ends[1:])]
    tokens = sum(len(example.ids) for example in data) / options.steps
    seconds = median(took)
    expected = estimate(
        model.config, settings, Corpus.of([len(example.ids) for example in data]), device.type,  # type: ignore[arg-type]
        str(dtype).removeprefix("torch."),
    )  # fmt: skip
    peak = torch.cuda.max_memory_allocated() if device.type == "cuda" else None
    print(json.dumps({
        "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu",
        "parameters": sum(value.numel() for value in model.parameters()),
        "tokens_per_step": round(tokens), "pack_tokens": PACK, "seconds_per_step": round(seconds, 4),
        "seconds_min_max": [round(min(took), 4), round(max(took), 4)],
        "tokens_per_second": round(tokens / seconds),
        "matrix_tflops": round(rate / 1e12, 3),
        "utilisation": round(flops(model, data) / options.steps / seconds / rate, 3),
        "peak_bytes": peak, "estimated_bytes": expected.total,
        "estimate_over_peak": None if peak is None else round(expected.total / peak, 3),
        "checkpointing": options.checkpointing, "kernels": settings.kernels,
    }))  # fmt: skip


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
