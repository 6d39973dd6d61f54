"""How much memory there is, and how much a model and its key-value cache take. Bytes everywhere.

In: a device, or a model's configuration. Out: bytes. It allocates nothing.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

if TYPE_CHECKING:
    import torch

CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Need:
    """Bytes that a run needs at least, those that are free, and what to do where they are too few."""

    what: str
    bytes: int
    free: int
    mend: str

    def message(self) -> str:
        """One line for a shortage."""
        return f"{self.what}: {gigabytes(self.bytes)} are needed and {gigabytes(self.free)} are free. {self.mend}"


def gigabytes(count: int) -> str:
    """Bytes for people: 16.1 GB, 54 MB."""
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.0f} MB"


def free_bytes(device: "torch.device") -> int:
    """What can be allocated on a device now. On a CPU: what the machine, and a container around us, leave free."""
    if device.type == "cuda":
        import torch

        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)  # kept by torch, free to us
        return torch.cuda.mem_get_info(device)[0] + unused
    if device.type == "mps":
        import torch

        return torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory()
    return min(psutil.virtual_memory().available, _left_in_container())


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocation failed. Drivers and the CPU's allocator raise plain RuntimeErrors: "CUDA error: out of
    memory", "DefaultCPUAllocator: can't allocate memory: you tried ..."."""
    import torch

    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and ("can't allocate memory" in text or "out of memory" in text)


def cache_bytes_per_token(config: Any, bytes_per_number: int) -> int:
    """Keys and values of one token in all layers."""
    text = config.get_text_config(decoder=True)
    head = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    heads = getattr(text, "num_key_value_heads", None) or text.num_attention_heads
    return 2 * text.num_hidden_layers * heads * head * bytes_per_number


def _left_in_container() -> int:
    """Of the limit that a container (cgroup v2) sets; a very large number without one."""
    try:
        limit = (CGROUP / "memory.max").read_text().strip()
        used = int((CGROUP / "memory.current").read_text())
    except OSError:
        return 1 << 62
    return (1 << 62) if limit == "max" else max(0, int(limit) - used)
