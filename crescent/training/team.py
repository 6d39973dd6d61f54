"""The processes that train together: their number and ranks, the share of each, and sums over all of them.

In: `train.devices` and `train.strategy`. Out: a `Team`, its Lightning strategy, and the shares of a step. Every process
knows the whole plan, so the number of target tokens in a step needs no communication.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Event
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from crescent.core.errors import UserError

if TYPE_CHECKING:
    import torch

Strategy = Literal["ddp", "fsdp"]
T = TypeVar("T")
BUCKET_ELEMENTS = 16_000_000
"""Gradients sent together: enough to hide latency, small compared with the model."""


@dataclass(frozen=True, slots=True)
class Team:
    """Process `rank` of `size` processes, which split the sequences of each step (`ddp`) and the weights too (`fsdp`).

    `asked` is set when this process should stop; all stop after the same step.
    """

    rank: int = 0
    size: int = 1
    strategy: Strategy = "ddp"
    asked: Event = field(default_factory=Event, compare=False)

    def forked_rng(self) -> Any:
        """A context that restores this process's random state afterwards, on the CPU and on its GPU."""
        import torch

        return torch.random.fork_rng(devices=[self.rank] if torch.cuda.is_available() else [])

    @property
    def shards_weights(self) -> bool:
        """True if a forward pass needs every process at the same time."""
        return self.size > 1 and self.strategy == "fsdp"

    def share(self, items: Sequence[T], rank: int | None = None) -> list[T]:
        """The share of this process (or `rank`) in a step: neighbours are similar in length, so shares are similar in
        work."""
        return list(items[self.rank if rank is None else rank :: self.size])

    def lightning(self) -> Any:
        """The strategy for Lightning's Trainer."""
        if self.size == 1:
            return "auto"
        if self.strategy == "fsdp":
            from pytorch_lightning.strategies import ModelParallelStrategy

            return ModelParallelStrategy(data_parallel_size=self.size, tensor_parallel_size=1)
        from pytorch_lightning.strategies import DDPStrategy

        return DDPStrategy()

    def add_up(self, values: "torch.Tensor") -> "torch.Tensor":
        """Sums `values` over all processes, in place."""
        if self.size > 1:
            import torch.distributed

            torch.distributed.all_reduce(values)
        return values

    def add_up_gradients(self, parameters: "Iterable[torch.nn.Parameter]") -> None:
        """Gives every process the sum of all gradients. With sharded weights the backward pass has done it already."""
        if self.size == 1 or self.shards_weights:
            return
        import torch

        bucket: list[torch.Tensor] = []
        for parameter in parameters:
            if parameter.grad is None:  # a process without a share of this step
                parameter.grad = torch.zeros_like(parameter)
            if bucket and (bucket[0].dtype != parameter.grad.dtype or sum(g.numel() for g in bucket) > BUCKET_ELEMENTS):
                self._add_up_bucket(bucket)
                bucket = []
            bucket.append(parameter.grad)
        self._add_up_bucket(bucket)

    def gathered(self, values: "Mapping[str, torch.Tensor]") -> "dict[str, Any]":
        """Copies of whole tensors on the CPU of the first process; None in the others, which only help to gather."""
        return {name: self.gather(value) for name, value in values.items()}

    def gather(self, value: "torch.Tensor") -> "torch.Tensor | None":
        """One of them."""
        together = full_tensor(value)
        return together.to("cpu", copy=True) if self.rank == 0 else None

    def _add_up_bucket(self, gradients: "list[torch.Tensor]") -> None:
        import torch

        flat = self.add_up(torch.cat([gradient.flatten() for gradient in gradients]))
        for gradient, part in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(part.view_as(gradient))


ALONE = Team()


def check_team(devices: int) -> None:
    """Raises UserError if this machine has too few GPUs; without any GPU, processes share the CPU."""
    if devices == 1:
        return
    import torch  # imported here so that composing a run stays fast

    found = torch.cuda.device_count()
    if 0 < found < devices:
        raise UserError(f"train.devices is {devices}, but this machine has {found} GPU(s); set train.devices={found}")


def full_tensor(value: "torch.Tensor") -> "torch.Tensor":
    """Gathers a sharded tensor (every process must call it), or returns the tensor itself."""
    gather = getattr(value, "full_tensor", None)
    return value.detach() if gather is None else gather().detach()


def shard_like(value: "torch.Tensor", model: "torch.Tensor") -> "torch.Tensor":
    """Distributes the whole tensor `value` over processes like `model`."""
    if not hasattr(model, "full_tensor"):
        return value
    from torch.distributed.tensor import distribute_tensor

    sharded: Any = model
    return distribute_tensor(value.to(sharded.device), sharded.device_mesh, sharded.placements)
