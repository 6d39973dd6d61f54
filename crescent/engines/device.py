"""The device that models run on if none is named."""

import os
from pathlib import Path

NVIDIA = Path("/proc/driver/nvidia/gpus")
"""Where the driver lists its GPUs, on Linux."""


def best_device() -> str:
    """The first available of cuda, mps and cpu."""
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def unusable_gpu(driver: Path = NVIDIA) -> str | None:
    """Why torch cannot use the GPU of this machine; None if it can, or if there is none or it is hidden on purpose.
    Loads torch only if there is a GPU."""
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1") or not driver.is_dir() or not any(driver.iterdir()):
        return None
    import torch

    if torch.cuda.is_available():
        return None
    if torch.version.cuda is None:
        return f"torch {torch.__version__} is a build without CUDA. Install one with CUDA"
    return (
        f"torch {torch.__version__} needs a driver for CUDA {torch.version.cuda}, and the one installed does not serve "
        "it (nvidia-smi shows its version). Update the driver, or install torch for an older CUDA"
    )
