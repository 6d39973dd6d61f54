"""Settings of `engine: vllm`; they build the engine late. Importing this module loads no model library."""

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from crescent.core.errors import UserError
from crescent.core.store import not_in_key
from crescent.engines import Sampling
from crescent.engines.device import best_device
from crescent.engines.identity import identity
from crescent.engines.memory import Need
from crescent.engines.requirements import BATCHES_AHEAD, MAX_RANK, memory_need
from crescent.engines.transformers.settings import TransformersSettings
from crescent.engines.weights import Weights, check

if TYPE_CHECKING:
    from crescent.engines.vllm.engine import VllmEngine


@dataclass(frozen=True, slots=True)
class VllmSettings:
    """Settings of `engine: vllm`: vLLM managed by this process, in an environment that has it (docs/engines.md).

    No field except `name` changes a result: a `max_model_len` too short for a prompt and its completion raises an
    error, nothing is truncated. `kv_cache_gib` None lets vLLM measure a GPU; on a CPU it is a quarter of the free
    memory, at most 4.
    """

    name: str = "vllm"
    gpu_memory_utilization: float = not_in_key(default=0.85)
    kv_cache_gib: float | None = not_in_key(default=None)
    max_model_len: int | None = not_in_key(default=None)
    tensor_parallel_size: int = not_in_key(default=1)
    max_batch: int = not_in_key(default=256)
    compile: bool = not_in_key(default=True)

    def __post_init__(self) -> None:
        if not 0 < self.gpu_memory_utilization <= 1:
            raise UserError(
                f"engine.gpu_memory_utilization is {self.gpu_memory_utilization}; it must be above 0, up to 1"
            )
        for key in ("kv_cache_gib", "max_model_len", "tensor_parallel_size", "max_batch"):
            if getattr(self, key) is not None and getattr(self, key) <= 0:
                raise UserError(f"engine.{key} is {getattr(self, key)}; it must be above 0")

    @property
    def loads_weights(self) -> bool:
        """True if the engine reads the generating model's weights from this machine."""
        return True

    @property
    def scoring(self) -> "VllmSettings":
        """The engine that scores with eval.engine=auto."""
        return self

    @property
    def in_process(self) -> TransformersSettings:
        """The engine that computes likelihoods."""
        return TransformersSettings()

    @property
    def preferred_batch(self) -> int:
        """Number of prompts that keeps batches full: see `LazyEngine`."""
        return BATCHES_AHEAD * self.max_batch

    def why_not(self, sampling: Sampling) -> str | None:
        """It can sample in all ways."""
        return None

    def check_student(self, rank: int) -> None:
        """Raises UserError if an adapter's rank is too large to apply while decoding."""
        if rank > MAX_RANK:
            raise UserError(
                f"train.method.rank is {rank}; engine=vllm loads a student with an adapter of rank {MAX_RANK} at most. "
                "Lower it, or choose engine=transformers"
            )

    def identity(self, weights: Weights, cache: Path | None) -> str:
        """Hash of the weights' content."""
        return identity(weights, cache)

    def check(self, weights: Weights) -> None:
        """Raises UserError if vLLM is not installed or the weights cannot work. Loads nothing."""
        found = importlib.util.find_spec("vllm")
        if found is None or found.origin is None:  # a folder of that name is not a package
            raise UserError(
                "engine=vllm needs vLLM in the environment of crescent: pip install 'crescent-lm[vllm]', preferably "
                "in a separate one (docs/engines.md). Or choose engine=transformers, or engine=server."
            )
        check(weights)

    def needs(self, weights: Weights) -> Iterator[Need]:
        """Memory for the weights and the cache of one row, on one device."""
        if self.tensor_parallel_size == 1:
            yield memory_need(weights, best_device())

    def build(self, weights: Weights, identity: str) -> "VllmEngine":
        """Starts vLLM, which allocates its memory."""
        from crescent.engines.vllm.engine import VllmEngine
        from crescent.engines.vllm.process import Capacity

        self.check(weights)
        return VllmEngine(weights, identity, Capacity(
            self.gpu_memory_utilization, self.kv_cache_gib, self.max_model_len, self.tensor_parallel_size,
            self.max_batch, self.compile,
        ))  # fmt: skip
