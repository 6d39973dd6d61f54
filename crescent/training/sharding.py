"""Shards weights over the processes of a team (FSDP, with PyTorch's `fully_shard`).

In: a model on the CPU and Lightning's device mesh. Out: the same model, where each process holds a part of every
weight; a layer is gathered when needed and freed again. Nothing is saved here: `team.full_tensor` gathers what is kept.
"""

from typing import Any

from crescent.training.wrapped import base_of


def shard(model: Any, mesh: Any, precision: str) -> None:
    """Shards `model` in place: one unit for each decoder layer, and one for what is left.

    With precision "bf16-mixed", weights in float32 are gathered in bfloat16 and released after use. Autocast alone
    would keep a copy of all of them in bfloat16 on every device until the backward pass.
    """
    import torch
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    mesh, policy = mesh["data_parallel"], MixedPrecisionPolicy()
    if precision == "bf16-mixed" and all(value.dtype == torch.float32 for value in model.parameters()):
        policy = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
    base = base_of(model)
    units = set(base._no_split_modules or ())
    for part in base.modules():
        if type(part).__name__ in units:
            fully_shard(part, mesh=mesh, mp_policy=policy)
    fully_shard(model, mesh=mesh, mp_policy=policy)
