"""Linear layers on a CPU with their weights packed in oneDNN's order.

In: a model. Out: a context in which its linear layers read packed copies of their weights. `torch.nn.functional.linear`
packs the weights again at every call, which for the few rows of a decoding step costs as much as the product, or leaves
it to a library that does not use the whole processor: packed weights were 1.5 to 2.6 times as fast
(tests/bench/linear_speed.py). Results differ in their last bits. Outside the context the model is unchanged.
"""

import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from transformers import PreTrainedModel

from crescent.engines.memory import free_bytes

MEMORY_SHARE = 0.25  # of free memory, for the copies
MANY_ROWS = 64  # what the packing is optimised for; any number of rows works
LARGE = 1 << 18  # weights from which a packed layer is faster for any number of rows
WORTH = 1 << 21  # weights times rows from which a smaller layer is faster packed
_DTYPES = (torch.float32, torch.bfloat16)


class PackedLinears:
    """The packed weights of a model; empty if they would not help or take too much memory."""

    def __init__(self, model: PreTrainedModel) -> None:
        layers = [module for module in model.modules() if type(module) is nn.Linear and module.weight.dtype in _DTYPES]
        needed = sum(layer.weight.nbytes for layer in layers)
        packs = is_supported(model) and needed <= MEMORY_SHARE * free_bytes(model.device)
        self._forwards = [(layer, _forward(layer)) for layer in layers] if packs else []

    def __len__(self) -> int:
        return len(self._forwards)

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """For forward passes without gradients."""
        for layer, forward in self._forwards:
            layer.__dict__["forward"] = forward  # an assignment would run nn.Module's checks
        try:
            yield
        finally:
            for layer, _ in self._forwards:
                layer.__dict__.pop("forward", None)  # another engine on the same model may have removed it already


def is_supported(model: PreTrainedModel) -> bool:
    """True if the processor is of the kind that was measured, and torch was built with oneDNN."""
    if model.device.type != "cpu" or platform.machine() not in ("x86_64", "AMD64"):
        return False
    if not (torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")):
        return False
    return model.dtype != torch.bfloat16 or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _forward(layer: nn.Linear) -> Callable[[torch.Tensor], torch.Tensor]:
    """The layer's function, computed from a packed copy of its weights."""
    weight, bias = layer.weight, layer.bias
    mkldnn: Any = torch.ops.mkldnn
    packed = mkldnn._reorder_linear_weight(weight.detach(), MANY_ROWS)
    count = weight.numel()

    def forward(rows: torch.Tensor) -> torch.Tensor:
        if count < LARGE and count * (rows.numel() // rows.shape[-1]) < WORTH:
            return functional.linear(rows, weight, bias)
        return mkldnn._linear_pointwise(rows, packed, bias, "none", [], "")  # type: ignore[no-any-return]

    return forward
