"""Checks that the settings of several strategies share. Each raises ValueError that names the key and the mend."""

from typing import Literal

Numbers = Literal["keep", "mask"]


def check_cosine(min_cosine: float, numbers: str, key: str = "min_cosine") -> None:
    if not -1 <= min_cosine <= 1:
        raise ValueError(f"dedup.{key} is {min_cosine}; a cosine lies between -1 and 1 (0.85 is the paper's)")
    check_numbers(numbers)


def check_numbers(numbers: str) -> None:
    if numbers not in ("keep", "mask"):
        raise ValueError(f"dedup.numbers is {numbers!r}; it may be keep or mask")
