"""What a seed may be: every generator that a run seeds (Python's, NumPy's, PyTorch's) takes these numbers."""

from crescent.core.errors import UserError

MAX_SEED = 2**32 - 1


def check_seed(key: str, seed: int) -> None:
    """Raises ValueError for a number that some generator does not take."""
    if not 0 <= seed <= MAX_SEED:
        raise UserError(f"{key} is {seed}; a seed is a whole number from 0 to {MAX_SEED}")
