"""The draws of a list of questions, the rule for how many each needs, and how they voted."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from crescent.core.records import Solution
from crescent.core.store import Store


@dataclass(frozen=True, slots=True)
class Draws:
    """All draws of a list of questions: `solutions[i][d]` is draw d of question i. `key` is the ledger's, `counts` (if
    known) the number of draws of each question.
    """

    key: str
    solutions: Sequence[Sequence[Solution]]
    reused_records: int
    generated_tokens: int
    counts: Sequence[int] | None = None

    @property
    def records(self) -> int:
        """Total number of draws."""
        return sum(map(len, self.solutions) if self.counts is None else self.counts)

    @property
    def tokens(self) -> int:
        """New tokens of all draws, including reused ones."""
        return sum(solution.new_tokens for draws in self.solutions for solution in draws)

    @property
    def info(self) -> dict[str, Any]:
        """No further counters."""
        return {}


class Until(Protocol):
    """Decides how many draws a question needs: a vote, or a fixed number. `name` is for headings, `draws` is the
    maximum."""

    @property
    def name(self) -> str: ...

    @property
    def draws(self) -> int: ...

    def wanted(self, store: Store) -> Callable[[Sequence[Solution]], int]:
        """Returns a function from a question's draws so far to how many more it needs."""
        ...


@dataclass(frozen=True, slots=True)
class FixedDraws:
    """The same number of draws for each question, whatever they say."""

    draws: int
    name: str = "fixed number"

    def wanted(self, store: Store) -> Callable[[Sequence[Solution]], int]:
        """The number still missing."""
        return lambda solutions: self.draws - len(solutions)
