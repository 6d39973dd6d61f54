"""In which number format a device computes: what `dtype: auto` means here, and which formats are slow.

In: a format by name and a device. Out: the format to load a model in, or the reason why it is slow. It loads torch only
where a GPU has to be asked, and no model library.
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
"""Of /proc/cpuinfo, on x86 and ARM."""


def resolved_dtype(dtype: str, device: str) -> str:
    """`dtype`, with "auto" replaced: bfloat16 where the device has instructions for it, else float32.

    That is asked of CUDA and of CPUs under Linux. Apple's GPUs cannot be asked (the M1's emulates it): float32.
    """
    if dtype != AUTO:
        return dtype
    return "bfloat16" if not device.startswith("mps") and computes_in("bfloat16", device) else "float32"


def slow_because(dtype: str, device: str) -> str | None:
    """Why a format that was asked for by name is slow on a device; None where it is not known to be."""
    if dtype in ("float32", AUTO) or device.startswith("mps") or computes_in(dtype, device):
        return None
    what = "GPU" if device.startswith("cuda") else "processor"
    return f"this {what} has no {dtype} instructions, so that it is emulated, or converted for every product"


def computes_in(dtype: str, device: str) -> bool:
    """Whether a CUDA device or a CPU has instructions for a half-precision format."""
    if device.startswith("cuda"):
        import torch  # here, so that composing a run stays fast

        return dtype == "float16" or torch.cuda.is_bf16_supported(including_emulation=False)
    try:
        flags = CPUINFO.read_text(encoding="utf-8")
    except OSError:
        return False
    return re.search(rf"^(?:flags|Features)\s*:.*\b(?:{_CPU_FLAGS[dtype]})\b", flags, re.MULTILINE) is not None
