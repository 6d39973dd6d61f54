"""The `contamination` choice: how generated questions are compared with the evaluation sets."""

from dataclasses import dataclass

from crescent.core.errors import UserError


@dataclass(frozen=True, slots=True)
class Check:
    """`contamination=report` and `drop`: a hit shares `run_words` consecutive words, or has a cosine of
    `min_cosine`.
    """

    name: str
    drops: bool
    min_cosine: float = 0.95
    run_words: int = 13

    def __post_init__(self) -> None:
        if not -1 <= self.min_cosine <= 1:
            raise UserError(f"contamination.min_cosine is {self.min_cosine}; a cosine lies between -1 and 1")
        if self.run_words < 1:
            raise UserError(f"contamination.run_words is {self.run_words}; it must be at least 1 (13 is usual)")


@dataclass(frozen=True, slots=True)
class Off:
    """`contamination=off`: nothing is compared."""

    name: str = "off"
    drops: bool = False


Contamination = Check | Off
"""The `contamination` choice."""
