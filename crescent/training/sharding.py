"""Shards weights over the processes of a team (FSDP, with PyTorch's `fully_shard`).

In: a model on the CPU and Lightning's device mesh. Out: the same model, where each process holds a part of every
weight; a layer is gathered when needed and freed again. Nothing is saved here: `team.full_tensor` gathers what is kept.
"""

from typing import Any


def shard(model: Any, mesh: Any) -> None:
    """Shards `model` in place: one unit per decoder layer, and one for the rest."""
    from torch.distributed.fsdp import fully_shard

    mesh = mesh["data_parallel"]
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    units = set(base._no_split_modules or ())
    for part in base.modules():
        if type(part).__name__ in units:
            fully_shard(part, mesh=mesh)
    fully_shard(model, mesh=mesh)
