"""Valid seeds: the numbers that every generator a run seeds (Python's, NumPy's, PyTorch's) accepts."""

from crescent.core.errors import UserError

MAX_SEED = 2**32 - 1


def check_seed(key: str, seed: int) -> None:
    """Raises UserError, naming `key`, if some generator would not accept the seed."""
    if not 0 <= seed <= MAX_SEED:
        raise UserError(f"{key} is {seed}; a seed is a whole number from 0 to {MAX_SEED}")
