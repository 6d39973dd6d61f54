"""Answering: the model solves each question several times.

In: Questions, and a rule that says how many draws each wants. Out: the draws, taken from the ledger where an earlier
run has made them, generated and committed there where not. It extracts no answer: see `vote`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from crescent.core.console import Console
from crescent.core.records import Question, Solution
from crescent.core.store import Store
from crescent.domain import fill
from crescent.engines import LazyEngine, Sampling
from crescent.engines.ledger import Ask, Ledger


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

    NAME: ClassVar[str] = "answer"
    VERSION: ClassVar[int] = 1

    solve: str
    sampling: Sampling

    def run(
        self,
        questions: Sequence[Question],
        wanted: Callable[[Sequence[Solution]], int],
        most: int,
        store: Store,
        engine: LazyEngine,
        console: Console,
    ) -> Draws:
        """Draws 0, 1, ... of each question, `most` at most, until `wanted` (draws so far -> how many more) says 0.

        Every pass asks for what all open questions want, together: batches stay full though each stops for itself. All
        that a question wants stands together, so that an engine reads its prompt once for them.
        """
        ledger = Ledger(store, engine, self.solve, self.sampling)
        prompts = [fill(self.solve, question=question.text) for question in questions]
        solutions: list[list[Solution]] = [[] for _ in questions]
        reused = tokens = 0
        with console.progress("answers drawn", most * len(questions), "draws") as tally:
            while asks := _asks(questions, prompts, solutions, wanted):
                drawn = ledger.complete([ask for _, ask in asks], tally)
                for (index, _), row in zip(asks, drawn.rows, strict=True):
                    solutions[index].append(row)
                reused, tokens = reused + drawn.reused, tokens + drawn.generated_tokens
            made = sum(map(len, solutions))
            if made < tally.total:
                tally.settle(f"{tally.total - made:,} draws were not needed")
        return Draws(ledger.key, solutions, reused, tokens)


def _asks(
    questions: Sequence[Question],
    prompts: Sequence[str],
    solutions: Sequence[Sequence[Solution]],
    wanted: Callable[[Sequence[Solution]], int],
) -> list[tuple[int, Ask]]:
    """(index of the question, what to ask) for the next pass, question by question."""
    return [
        (index, Ask(question.id, len(draws) + draw, prompts[index]))
        for index, (question, draws) in enumerate(zip(questions, solutions, strict=True))
        for draw in range(wanted(draws))
    ]
