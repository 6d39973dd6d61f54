"""Minimum memory of an engine (the model and one row), computed without loading weights."""

from crescent.engines.memory import Need, cache_bytes_per_token, free_bytes
from crescent.engines.model_files import local_folder, number_count
from crescent.engines.weights import Weights

LEAST_TOKENS = 2048
"""Tokens of a prompt and its answer."""
BATCHES_AHEAD = 8
"""Batches submitted together: slots are idle only while the last of them finishes."""
MAX_RANK = 512
"""The largest LoRA rank that vLLM supports."""


def memory_need(weights: Weights, device: str) -> Need:
    """Memory for a model and one row of `LEAST_TOKENS`."""
    import torch
    from transformers import AutoConfig

    folder, item = local_folder(weights), getattr(torch, weights.dtype).itemsize
    row = LEAST_TOKENS * cache_bytes_per_token(AutoConfig.from_pretrained(folder), item)
    return Need(
        f"memory to generate with {weights.name} in {weights.dtype} on {device}",
        number_count(folder) * item + row, free_bytes(torch.device(device)),
        "Use a smaller model, model.dtype=bfloat16, another engine.device, or engine=server.",
    )  # fmt: skip
