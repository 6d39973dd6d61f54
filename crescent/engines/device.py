"""The default device for models.

Out: cuda, mps or cpu. Imports torch, but no model library.
"""


def best_device() -> str:
    """Returns the first available of cuda, mps and cpu."""
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"
