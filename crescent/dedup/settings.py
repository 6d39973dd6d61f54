"""Checks shared by the settings of several strategies. Each raises UserError with the key and a suggested fix."""

from crescent.core.errors import UserError


def check_cosine(min_cosine: float, key: str = "min_cosine") -> None:
    if not -1 <= min_cosine <= 1:
        raise UserError(f"dedup.{key} is {min_cosine}; a cosine lies between -1 and 1 (0.85 is the paper's)")
