"""The device that models run on where none is named.

Out: cuda, mps or cpu. It loads torch, and no model library.
"""


def best_device() -> str:
    """The first that is there."""
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"
