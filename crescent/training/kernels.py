"""Fused kernels for the layers around attention: the choice `train.kernels`.

In: a model. Out: the same model with its norms, rotary positions and gated products computed by Liger's Triton kernels
(`liger`), or unchanged (`none`). Liger's loss is not used: ours is summed over target tokens only.
"""

from importlib.util import find_spec
from typing import Any, Literal

from crescent.core.errors import UserError
from crescent.training.wrapped import base_of

Kernels = Literal["none", "liger"]


def check_kernels(kernels: Kernels) -> None:
    """Raises UserError if the kernels cannot run here."""
    if kernels == "none":
        return
    if find_spec("liger_kernel") is None:
        raise UserError(
            "train.kernels=liger needs the package liger-kernel: pip install 'crescent-lm[liger]', or choose "
            "train.kernels=none"
        )
    import torch  # imported here so that composing a run stays fast

    if not torch.cuda.is_available():
        raise UserError("train.kernels=liger needs a CUDA GPU, and there is none here; choose train.kernels=none")


def apply_kernels(kernels: Kernels, model: Any) -> None:
    """Patches the layers of `model` in place."""
    if kernels == "none":
        return
    # like transformers' own Trainer
    from liger_kernel.transformers import (  # pyright: ignore[reportMissingImports]
        _apply_liger_kernel_to_instance as apply,
    )

    base = base_of(model)
    apply(model=base, cross_entropy=False, fused_linear_cross_entropy=False)
