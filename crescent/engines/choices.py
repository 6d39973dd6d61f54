"""The `engine` choices: cheap settings that build an engine late.

In: a YAML of `conf/engine`. Out: an engine. Importing this loads no model library: a mistake in a configuration is
told at once.
"""

import importlib.util
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from crescent.engines.device import best_device
from crescent.engines.memory import Need, cache_bytes_per_token, free_bytes
from crescent.engines.weights import (
    Weights,
    check,
    check_thinking,
    identity,
    load,
    local_folder,
    number_count,
    turn_if_here,
)
from crescent.store import make_key, not_in_key

MAX_RANK = 512
"""The largest LoRA rank that vLLM has buffers for."""

if TYPE_CHECKING:
    from crescent.engines.server import ServerEngine
    from crescent.engines.transformers import TransformersEngine
    from crescent.engines.vllm import VllmEngine

LEAST_TOKENS = 2048  # of a prompt and its answer
SERVED_VERSION = 2  # 1 took every completion that was not cut off for one that had ended, aborted ones included
BATCHES_AHEAD = 8  # asked for together: only while the last of them runs out are places empty


@dataclass(frozen=True, slots=True)
class TransformersSettings:
    """The `engine: transformers` choice. `max_batch` bounds rows in a batch; no field changes a result.

    (With `continuous` batching, text depends on the batch: what was drawn first is what all later work shares.)
    """

    name: str = "transformers"
    device: str = not_in_key(default="auto")
    max_batch: int = not_in_key(default=256)
    batching: Literal["auto", "padded", "continuous"] = not_in_key(default="auto")

    def __post_init__(self) -> None:
        if self.max_batch < 1:
            raise ValueError(f"engine.max_batch is {self.max_batch}; it must be at least 1")
        if self.batching not in ("auto", "padded", "continuous"):
            raise ValueError(f"engine.batching is {self.batching!r}; it may be auto, padded or continuous")
        if re.fullmatch(r"cuda:0*[1-9]\d*", self.device):
            raise ValueError(
                f"engine.device is {self.device}; training would still take the first GPU. Choose one for the "
                f"whole run: CUDA_VISIBLE_DEVICES={self.device.removeprefix('cuda:')} crescent ... engine.device=cuda"
            )
        if self.device not in ("auto", "cpu", "cuda", "cuda:0", "mps"):
            raise ValueError(f"engine.device is {self.device!r}; it may be auto, cpu, cuda or mps")

    @property
    def scoring(self) -> "TransformersSettings":
        """The engine that evaluation uses: it needs the model in this process."""
        return self

    @property
    def appetite(self) -> int:
        """Prompts at a time that keep batches full: see `LazyEngine`."""
        return BATCHES_AHEAD * self.max_batch

    def check_student(self, rank: int) -> None:
        """Raises ValueError if it cannot generate with what a run trains (an adapter's rank, 0: a whole model)."""

    def identity(self, weights: Weights, cache: Path | None) -> str:
        """What tells the weights from any other: their content."""
        return identity(weights, cache)

    def check(self, weights: Weights) -> None:
        """Raises ValueError if weights can be seen not to work. Loads nothing."""
        check(weights)

    def needs(self, weights: Weights) -> Iterator[Need]:
        """Memory for the weights and the cache of one row; more rows take what is left."""
        yield _memory(weights, self.where)

    def build(self, weights: Weights, identity: str) -> "TransformersEngine":
        """Loads the model. This is where memory is taken."""
        from crescent.engines.transformers import TransformersEngine

        model, tokenizer = load(weights, self.where)
        return TransformersEngine(model, tokenizer, identity, self.max_batch, self.batching)

    @property
    def where(self) -> str:
        """The device, by name: `auto` is the best there is."""
        return best_device() if self.device == "auto" else self.device


@dataclass(frozen=True, slots=True)
class VllmSettings:
    """The `engine: vllm` choice: vLLM in this process's care, in an environment that has it (docs/engines.md).

    No field but `name` changes a result: `max_model_len` below what a prompt and its completion need is refused, never
    cut to. `kv_cache_gib` None lets vLLM measure a GPU; on a CPU it is a quarter of the free memory, 4 at most.
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
            raise ValueError(f"engine.gpu_memory_utilization is {self.gpu_memory_utilization}; it must be from 0 to 1")
        for key in ("kv_cache_gib", "max_model_len", "tensor_parallel_size", "max_batch"):
            if getattr(self, key) is not None and getattr(self, key) <= 0:
                raise ValueError(f"engine.{key} is {getattr(self, key)}; it must be above 0")

    @property
    def scoring(self) -> TransformersSettings:
        """Evaluation reads log-likelihoods of the model in this process."""
        return TransformersSettings()

    @property
    def appetite(self) -> int:
        """Prompts at a time that keep batches full: see `LazyEngine`."""
        return BATCHES_AHEAD * self.max_batch

    def check_student(self, rank: int) -> None:
        """Raises ValueError for an adapter that is too large to be applied while decoding."""
        if rank > MAX_RANK:
            raise ValueError(
                f"train.method.rank is {rank}; with iterations above 1, engine=vllm applies adapters of rank "
                f"{MAX_RANK} at most: lower it, or choose engine=transformers"
            )

    def identity(self, weights: Weights, cache: Path | None) -> str:
        """What tells the weights from any other: their content."""
        return identity(weights, cache)

    def check(self, weights: Weights) -> None:
        """Raises ValueError if vLLM is not there, or weights can be seen not to work. Loads nothing."""
        found = importlib.util.find_spec("vllm")
        if found is None or found.origin is None:  # a folder of that name is no package
            raise ValueError(
                "engine=vllm needs vLLM in the environment that runs crescent: pip install 'crescent-lm[vllm]', best "
                "in one of its own (docs/engines.md). Or choose engine=transformers, or engine=server."
            )
        check(weights)

    def needs(self, weights: Weights) -> Iterator[Need]:
        """Memory for the weights and the cache of one row, on one device."""
        if self.tensor_parallel_size == 1:
            yield _memory(weights, best_device())

    def build(self, weights: Weights, identity: str) -> "VllmEngine":
        """Starts vLLM. This is where memory is taken."""
        from crescent.engines.vllm import VllmEngine
        from crescent.engines.vllm_process import Capacity

        self.check(weights)
        return VllmEngine(weights, identity, Capacity(
            self.gpu_memory_utilization, self.kv_cache_gib, self.max_model_len, self.tensor_parallel_size,
            self.max_batch, self.compile,
        ))  # fmt: skip


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """The `engine: server` choice: one or several OpenAI-compatible servers of one model.

    `model` is the name it is served under (None: `model.path`). The servers share the work; which of them answers, and
    how many requests are in flight, changes no key. The servers put the chat template on.
    """

    urls: tuple[str, ...] = not_in_key()
    name: str = "server"
    model: str | None = None
    in_flight: int = not_in_key(default=256)
    samples_per_request: int = not_in_key(default=16)
    patience_seconds: float = not_in_key(default=600.0)
    timeout_seconds: float = not_in_key(default=600.0)

    def __post_init__(self) -> None:
        if not self.urls:
            raise ValueError("engine.urls is empty; give at least one, such as [http://localhost:8000/v1]")
        wrong = [url for url in self.urls if not url.startswith(("http://", "https://"))]
        if wrong:
            raise ValueError(f"engine.urls: {wrong[0]!r} is no address, such as http://localhost:8000/v1")
        for key in ("in_flight", "samples_per_request", "patience_seconds", "timeout_seconds"):
            if getattr(self, key) <= 0:
                raise ValueError(f"engine.{key} is {getattr(self, key)}; it must be above 0")

    @property
    def scoring(self) -> TransformersSettings:
        """Evaluation scores weights on disk."""
        return TransformersSettings()

    @property
    def appetite(self) -> int:
        """Prompts at a time that keep all requests full: see `LazyEngine`."""
        return self.in_flight * self.samples_per_request

    def check_student(self, rank: int) -> None:
        """Raises ValueError: a server has the weights it was started with."""
        raise ValueError(
            "iterations above 1 ask the student that the run has trained; engine=server cannot load it: choose "
            "engine=transformers or engine=vllm"
        )

    def identity(self, weights: Weights, cache: Path | None) -> str:
        """The served name: what is behind it cannot be looked at. Give new weights a new name."""
        about: dict[str, Any] = {"model": self._served(weights), "revision": weights.revision}
        end = turn_if_here(weights).unlisted
        if end is not None:  # its answers end where they once ran on to the limit
            about["end_of_turn"] = end
        return make_key("served", SERVED_VERSION, about)

    def check(self, weights: Weights) -> None:
        """Raises ValueError for weights that a server cannot be given."""
        if weights.template != "chat":
            raise ValueError(
                f"engine=server asks in chat turns; {weights.name} has model.template={weights.template}: choose "
                "engine=transformers"
            )
        if weights.adapter is not None:
            raise ValueError(
                f"engine=server cannot answer with {weights.name} after training: serve the student under a name of "
                "its own, or choose engine=transformers"
            )
        check_thinking(weights)

    def needs(self, weights: Weights) -> Iterator[Need]:
        """Nothing here."""
        return iter(())

    def build(self, weights: Weights, identity: str) -> "ServerEngine":
        """Opens no connection yet."""
        from crescent.engines.endpoints import Limits
        from crescent.engines.server import ServerEngine

        self.check(weights)
        limits = Limits(self.in_flight, self.samples_per_request, self.patience_seconds, self.timeout_seconds)
        return ServerEngine(self.urls, self._served(weights), identity, limits, weights)

    def _served(self, weights: Weights) -> str:
        return self.model or weights.path


def _memory(weights: Weights, device: str) -> Need:
    """For a model and a row of `LEAST_TOKENS`."""
    import torch
    from transformers import AutoConfig

    folder, item = local_folder(weights), getattr(torch, weights.dtype).itemsize
    row = LEAST_TOKENS * cache_bytes_per_token(AutoConfig.from_pretrained(folder), item)
    return Need(
        f"memory to generate with {weights.name} in {weights.dtype} on {device}",
        number_count(folder) * item + row, free_bytes(torch.device(device)),
        "Take a smaller model, model.dtype=bfloat16, another engine.device, or engine=server.",
    )  # fmt: skip
