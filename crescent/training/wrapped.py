"""What all of training needs of a model that may be wrapped by peft."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

PROBE_TOKENS = 24
"""Length of the sequences that a model is tried with before training."""


def base_of(model: Any) -> Any:
    """The transformers model itself, without the wrapper of an adapter."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


@contextmanager
def without_dropout(model: Any) -> Iterator[None]:
    """Eval mode, except for bitsandbytes layers, which on a CPU would repack their weights for inference."""
    modes = {part: part.training for part in model.modules()}
    for part in modes:
        part.training = type(part).__module__.startswith("bitsandbytes")
    try:
        yield
    finally:
        for part, mode in modes.items():
            part.training = mode


@contextmanager
def as_before_training(model: Any) -> Iterator[None]:
    """Inside the context `model`, which has an adapter, is the reference: the adapter is off, there is no dropout, and
    nothing is recorded for gradients."""
    import torch

    with torch.no_grad(), without_dropout(model), model.disable_adapter():
        yield
