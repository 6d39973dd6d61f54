"""The draws of a list of questions, and what says how many each needs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from crescent.core.records import Solution
from crescent.core.store import Store


@dataclass(frozen=True, slots=True)
class Draws:
    """All draws of a list of questions: `solutions[i][d]` is draw d of question i. `key` is the ledger's."""

    key: str
    solutions: list[list[Solution]]
    reused_records: int
    generated_tokens: int

    @property
    def records(self) -> int:
        """How many draws in all."""
        return sum(map(len, self.solutions))

    @property
    def tokens(self) -> int:
        """New tokens of all draws, whoever paid for them."""
        return sum(solution.new_tokens for draws in self.solutions for solution in draws)

    @property
    def info(self) -> dict[str, Any]:
        """No counters beside these."""
        return {}


class Until(Protocol):
    """What says how many draws a question needs: a vote, or a fixed number. `name` titles it, `draws` is the most."""

    @property
    def name(self) -> str: ...

    @property
    def draws(self) -> int: ...

    def wanted(self, store: Store) -> Callable[[Sequence[Solution]], int]:
        """The draws of a question so far -> how many more it needs."""
        ...


@dataclass(frozen=True, slots=True)
class FixedDraws:
    """As many draws of each question, whatever they say."""

    draws: int
    name: str = "fixed number"

    def wanted(self, store: Store) -> Callable[[Sequence[Solution]], int]:
        """What is missing of the number."""
        return lambda solutions: self.draws - len(solutions)
