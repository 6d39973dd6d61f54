"""Memory: how much is free, how much a model and its key-value cache take, and what to do after an OOM.

In: a device, a model's configuration, or an error. Out: bytes, or a smaller batch. This module allocates nothing.
"""

import gc
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from crescent.core.errors import OutOfMemory

if TYPE_CHECKING:
    import torch

CGROUP = Path("/sys/fs/cgroup")
_WORDS = ("out of memory", "can't allocate memory", "alloc_failed")  # from CUDA, PyTorch on CPU, cuBLAS
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Need:
    """Bytes that a run needs at least, bytes that are free, and a suggested fix if these are too few."""

    what: str
    bytes: int
    free: int
    hint: str

    def message(self) -> str:
        """The error line for a shortage."""
        return f"{self.what}: {gigabytes(self.bytes)} needed, {gigabytes(self.free)} free. {self.hint}"


def gigabytes(count: int) -> str:
    """Formats bytes for people: 16.1 GB, 54 MB."""
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.0f} MB"


def free_bytes(device: "torch.device") -> int:
    """Bytes that can be allocated on a device now. On a CPU: what the machine and its container (cgroup) have left."""
    if device.type == "cuda":
        import torch

        # reserved by torch, available to us
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + unused
    if device.type == "mps":
        import torch

        return torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory()
    return min(psutil.virtual_memory().available, _left_in_container())


def cache_bytes_per_token(config: Any, bytes_per_number: int) -> int:
    """Bytes of keys and values of one token in all layers."""
    text = config.get_text_config(decoder=True)
    head = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    heads = getattr(text, "num_key_value_heads", None) or text.num_attention_heads
    return 2 * text.num_hidden_layers * heads * head * bytes_per_number


def is_out_of_memory(error: BaseException) -> bool:
    """True if an error of any library means that memory ran out."""
    if isinstance(error, MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _WORDS)


@contextmanager
def oom_error_as(message: str) -> Iterator[None]:
    """Turns an OOM inside the block into OutOfMemory with `message`, which names the cause and suggests a fix."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise OutOfMemory(message) from error


def halve_batch(count: int, what: str, hint: str, device: "torch.device") -> int:
    """Returns half the batch size after an OOM, logs it, and frees cached memory.

    Raises OutOfMemory with a suggested fix if `count` is 1. Call it outside the `except` block: the error holds
    references to tensors.
    """
    if count <= 1:
        raise OutOfMemory(f"out of memory for one of the {what}. {hint}")
    log.warning("out of memory with %d %s in a batch; continuing with %d", count, what, count // 2)
    gc.collect()
    if device.type == "cuda":
        import torch

        torch.cuda.empty_cache()
    return count // 2


def _left_in_container() -> int:
    """Bytes left below a container's limit (cgroup v2); a very large number without a limit."""
    try:
        limit = (CGROUP / "memory.max").read_text().strip()
        used = int((CGROUP / "memory.current").read_text())
    except OSError:
        return 1 << 62
    return (1 << 62) if limit == "max" else max(0, int(limit) - used)
