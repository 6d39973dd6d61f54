"""The `verify` choice."""

from dataclasses import dataclass
from typing import Protocol

from crescent.core.errors import UserError


class Verification(Protocol):
    """How questions are verified before they are answered. `draws` is the number of verdicts per question; 0: none."""

    @property
    def name(self) -> str: ...

    @property
    def draws(self) -> int: ...


@dataclass(frozen=True, slots=True)
class NoVerification:
    """`verify=none`: every question is answered."""

    name: str = "none"

    @property
    def draws(self) -> int:
        """0: nothing is judged."""
        return 0


@dataclass(frozen=True, slots=True)
class SelfVerification:
    """`verify=self`: the teacher judges each question `draws` times; a question is kept if at least `min_share` of the
    verdicts are yes. A reply without a verdict counts as no.
    """

    prompt: str
    name: str = "self"
    draws: int = 1
    min_share: float = 0.5
    temperature: float = 0.0
    top_p: float = 1.0
    max_new_tokens: int = 16

    def __post_init__(self) -> None:
        if "{question}" not in self.prompt:
            raise UserError("verify.prompt does not contain {question}; the model must be shown the text")
        if self.draws < 1:
            raise UserError(f"verify.draws is {self.draws}; it must be at least 1 (or choose verify=none)")
        if not 0 < self.min_share <= 1:
            raise UserError(f"verify.min_share is {self.min_share}; it is a share of the verdicts, above 0 and up to 1")
        if self.draws > 1 and self.temperature == 0:
            raise UserError(
                f"verify.draws is {self.draws} at verify.temperature=0, where all draws are equal: set a temperature, "
                "as in verify.temperature=0.7, or verify.draws=1"
            )
