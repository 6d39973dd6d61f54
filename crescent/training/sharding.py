"""Weights spread over the processes of a team (FSDP, as PyTorch's `fully_shard` does it).

In: a model on the CPU and Lightning's device mesh. Out: the same model, each process holding a part of every weight; a
layer is put together when it is needed and let go again. It saves nothing: `team.whole` gathers what is kept.
"""

from typing import Any


def shard(model: Any, mesh: Any) -> None:
    """Shards `model` in place: one unit for each decoder layer, and one for what is left."""
    from torch.distributed.fsdp import fully_shard

    mesh = mesh["data_parallel"]
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    units = set(base._no_split_modules or ())
    for part in base.modules():
        if type(part).__name__ in units:
            fully_shard(part, mesh=mesh)
    fully_shard(model, mesh=mesh)
