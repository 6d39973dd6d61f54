"""Number formats: what `dtype: auto` means on a device, and which formats are slow there.

Imports torch only to query a GPU, and no model library.
"""

import re
from pathlib import Path

AUTO = "auto"
DTYPES = ("float32", "bfloat16", "float16")
CPUINFO = Path("/proc/cpuinfo")
_CPU_FLAGS = {
    "bfloat16": r"avx512_bf16|amx_bf16|bf16",
    "float16": r"avx512_fp16|amx_fp16|fphp",
}
"""Flags in /proc/cpuinfo, on x86 and ARM."""


def resolved_dtype(dtype: str, device: str) -> str:
    """`dtype`, with "auto" replaced: bfloat16 if the device has instructions for it, else float32.

    CUDA devices and CPUs under Linux are queried. Apple's GPUs cannot be (the M1's emulates bfloat16), so they get
    float32.
    """
    if dtype != AUTO:
        return dtype
    return "bfloat16" if not device.startswith("mps") and computes_in("bfloat16", device) else "float32"


def slow_because(dtype: str, device: str) -> str | None:
    """Why an explicitly chosen format is slow on the device; None if it is not known to be slow."""
    if dtype in ("float32", AUTO) or device.startswith("mps") or computes_in(dtype, device):
        return None
    what = "GPU" if device.startswith("cuda") else "processor"
    return f"this {what} has no {dtype} instructions, so it is emulated, or converted for every product"


def computes_in(dtype: str, device: str) -> bool:
    """True if a CUDA device or CPU has instructions for this half-precision format."""
    if device.startswith("cuda"):
        import torch  # imported late, so that composing a run stays fast

        return dtype == "float16" or torch.cuda.is_bf16_supported(including_emulation=False)
    try:
        flags = CPUINFO.read_text(encoding="utf-8")
    except OSError:
        return False
    return re.search(rf"^(?:flags|Features)\s*:.*\b(?:{_CPU_FLAGS[dtype]})\b", flags, re.MULTILINE) is not None
