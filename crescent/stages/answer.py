"""Answering: the model solves each question several times.

In: an artifact of Questions and how many draws of each. Out: the draws, taken from the ledger where an earlier run has
made them, generated and committed there where not. It extracts no answer: see `vote`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from crescent.console import Console
from crescent.domain import fill
from crescent.engines import LazyEngine, Sampling
from crescent.ledger import Ask, Ledger
from crescent.records import Question, Solution
from crescent.store import Store


@dataclass(frozen=True, slots=True)
class Draws:
    """All draws of a list of questions: `solutions[i][d]` is draw d of question i. `key` is the ledger's."""

    key: str
    solutions: list[list[Solution]]
    reused: int
    generated_tokens: int

    @property
    def count(self) -> int:
        """How many draws in all."""
        return sum(map(len, self.solutions))

    @property
    def tokens(self) -> int:
        """New tokens of all draws, whoever paid for them."""
        return sum(solution.new_tokens for draws in self.solutions for solution in draws)


@dataclass(frozen=True, slots=True)
class Answer:
    """`solve` is the prompt, with {question} in it."""

    VERSION: ClassVar[int] = 1

    solve: str
    sampling: Sampling

    def run(
        self, questions: Sequence[Question], draws: int, store: Store, engine: LazyEngine, console: Console
    ) -> Draws:
        """`draws` solutions of each question, in order."""
        ledger = Ledger(store, engine, self.solve, self.sampling)
        prompts = [fill(self.solve, question=question.text) for question in questions]
        asks = [
            Ask(question.id, draw, prompt)
            for draw in range(draws)
            for question, prompt in zip(questions, prompts, strict=True)
        ]
        with console.progress("answers drawn", len(asks), "draws") as tally:
            drawn = ledger.complete(asks, tally)
        rows = drawn.rows
        solutions = [[rows[draw * len(questions) + index] for draw in range(draws)] for index in range(len(questions))]
        return Draws(ledger.key, solutions, drawn.reused, drawn.generated_tokens)
