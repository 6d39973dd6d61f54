"""Starts vLLM: its share of the machine, its environment, and its adapter.

In: weights and a `Capacity`. Out: vLLM's own engine, whose model runs in a process started by vLLM, and the adapter
request; or a one-line UserError. Generation is in `engine.py`.
"""

import json
import multiprocessing.connection
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from crescent.core.errors import UserError
from crescent.engines.guard import Guard
from crescent.engines.model_files import local_folder
from crescent.engines.requirements import MAX_RANK
from crescent.engines.weights import Weights, load_config

RANKS = (1, 8, 16, 32, 64, 128, 256, 320, MAX_RANK)
"""Ranks for which vLLM can size its adapter buffers; an adapter uses the next larger one."""
LONGEST_THAT_FITS = -1
"""The longest context whose cache fits in memory, in vLLM's terms. By default it refuses one that does not fit."""
_NEVER = 1 << 30  # tokens between two updates on an unfinished sample
_ENVIRONMENT = {
    "VLLM_WORKER_MULTIPROC_METHOD": "spawn",  # a fork would inherit the embedder's threads and hang
    "VLLM_ENABLE_V1_MULTIPROCESSING": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",  # binding needs permissions that containers rarely grant
    "VLLM_LOGGING_LEVEL": "ERROR",  # a user of Crescent can fix nothing that its warnings name
    "VLLM_NO_USAGE_STATS": "1",
    "SPT_NOENV": "1",  # otherwise the process titles that it sets would overwrite their environment, and the mark
}


@dataclass(frozen=True, slots=True)
class Capacity:
    """vLLM's share of the machine; does not change results. See `VllmSettings`."""

    gpu_memory_utilization: float
    kv_cache_gib: float | None
    max_model_len: int | None
    tensor_parallel_size: int
    max_batch: int
    compile: bool


def model_context(weights: Weights) -> int:
    """The model's context in tokens (prompt and completion)."""
    return int(getattr(load_config(weights), "max_position_embeddings", None) or 1 << 30)


def check_adapter(weights: Weights) -> None:
    """Raises UserError if vLLM could not apply the adapter while decoding. Reads only its configuration."""
    if weights.adapter is None:
        return
    config = json.loads((weights.adapter / "adapter_config.json").read_text(encoding="utf-8"))
    hint = "choose engine=transformers, which merges it"
    for feature in ("use_dora", "modules_to_save", "lora_bias", "layer_replication"):
        if config.get(feature):
            raise UserError(f"engine=vllm cannot apply an adapter with {feature} ({weights.adapter}); {hint}")
    if _rank(config) > MAX_RANK:
        raise UserError(
            f"the adapter's rank is {_rank(config)} ({weights.adapter}); engine=vllm takes at most {MAX_RANK}: lower "
            f"train.method.rank, or {hint}"
        )


def start(weights: Weights, capacity: Capacity, guard: Guard) -> tuple[Any, Any]:
    """Returns vLLM's engine and the adapter request. Raises a one-line UserError if it cannot start."""
    with _environment(), guard.marking():
        return _start(weights, capacity)


def _start(weights: Weights, capacity: Capacity) -> tuple[Any, Any]:
    from vllm import EngineArgs, LLMEngine  # pyright: ignore
    from vllm.lora.request import LoRARequest  # pyright: ignore
    from vllm.platforms import current_platform  # pyright: ignore

    options: dict[str, Any] = {}
    adapter = None
    if weights.adapter is not None:
        check_adapter(weights)
        config = json.loads((weights.adapter / "adapter_config.json").read_text(encoding="utf-8"))
        rank = next(rank for rank in RANKS if rank >= _rank(config))
        options |= {"enable_lora": True, "max_loras": 1, "max_lora_rank": rank}
        adapter = LoRARequest(weights.adapter_key or str(weights.adapter), 1, str(weights.adapter))
    kv_cache = capacity.kv_cache_gib
    if current_platform.is_cpu():
        # vLLM 0.32 on a CPU dies of a seeded request with chunked prefill: its generators cannot be rewound.
        context = min(capacity.max_model_len or 1 << 30, model_context(weights))
        options |= {"enable_chunked_prefill": False, "max_num_batched_tokens": max(4096, context)}
        kv_cache = kv_cache or _quarter_of_free_memory()  # vLLM's default is a share of all memory, free or not
    try:
        arguments = EngineArgs(
            model=str(local_folder(weights)), dtype=weights.dtype,
            max_model_len=capacity.max_model_len or LONGEST_THAT_FITS,
            gpu_memory_utilization=capacity.gpu_memory_utilization, max_num_seqs=capacity.max_batch,
            kv_cache_memory_bytes=None if kv_cache is None else int(kv_cache * 2**30),
            tensor_parallel_size=capacity.tensor_parallel_size, enforce_eager=not capacity.compile,
            enable_prefix_caching=True, stream_interval=_NEVER, disable_log_stats=True, use_tqdm_on_load=False,
            generation_config="auto", **options,
        )  # fmt: skip
        engine = LLMEngine.from_engine_args(arguments)
    except (ValueError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0][:300].rstrip(".")
        raise UserError(
            f"vLLM could not start with {weights.name} ({reason}); its own messages are above. Memory is set by "
            "engine.gpu_memory_utilization (GPU) and engine.kv_cache_gib, the context by engine.max_model_len."
        ) from error
    _tell_of_death(engine)
    return engine, adapter


def _tell_of_death(engine: Any) -> None:
    """Puts an error where a caller waits for output when vLLM's process dies: vLLM 0.32 would let the caller wait
    forever."""
    from vllm.v1.engine.exceptions import EngineDeadError  # pyright: ignore

    client = engine.engine_core
    sentinels = [process.sentinel for process in client.resources.engine_manager.processes]

    def wait_and_tell() -> None:
        multiprocessing.connection.wait(sentinels)
        client.outputs_queue.put(EngineDeadError())

    threading.Thread(target=wait_and_tell, daemon=True).start()


@contextmanager
def _environment() -> Iterator[None]:
    """Environment for starting vLLM. The user's variables take precedence; variables added by vLLM for its process are
    removed again."""
    before = dict(os.environ)
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            if name not in _ENVIRONMENT:
                del os.environ[name]
        os.environ.update(before)


def _rank(config: Mapping[str, Any]) -> int:
    return max([config["r"], *(config.get("rank_pattern") or {}).values()])


def _quarter_of_free_memory() -> float:
    """GiB for the KV cache on a CPU: a quarter of free memory, at most 4."""
    import psutil  # pyright: ignore

    return min(4.0, psutil.virtual_memory().available / 4 / 2**30)
