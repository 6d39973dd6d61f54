"""Answering: the model solves each question several times.

In: Questions, and a rule for how many draws each needs. Out: the draws; those in the ledger are reused, missing ones
are generated and committed to it. Answers are not extracted here: see `vote`.
"""

from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, ClassVar

from crescent.core.console import counted
from crescent.core.context import ModelKeys, Stage, StageContext
from crescent.core.records import Question, Solution
from crescent.core.store import Artifact, Key
from crescent.domain import fill
from crescent.engines import Sampling
from crescent.engines.ledger import Ask, Ledger, ledger_key
from crescent.voting.draws import Draws, Until


@dataclass(frozen=True, slots=True)
class Answer(Stage):
    """Settings. `solve` is the prompt template with {question} in it."""

    NAME: ClassVar[str] = "answer"
    VERSION: ClassVar[int] = 1

    solve: str
    sampling: Sampling

    def key(self, models: ModelKeys, *inputs: str) -> Key:
        """The key of the ledger, which is shared by all questions with this prompt template."""
        return ledger_key(models.engine, self.solve, self.sampling)

    def title(self, *inputs: object, until: Until, **options: object) -> str:
        """Heading on the console, with the vote rule."""
        return f"3 Answer and vote ({until.name}): up to {counted(until.draws, 'draw')} of each question"

    def run(self, context: StageContext, questions: Artifact, *, until: Until) -> Draws:
        """Makes draws 0, 1, ... of each question until it needs no more.

        Each round requests what all open questions need together, so batches stay full although each question stops
        separately. All draws of a question are adjacent, so an engine computes its prompt once.
        """
        asked, wanted = questions.read(Question), until.wanted(context.store)
        ledger = Ledger(context.store, context.engine, self.solve, self.sampling)
        solutions = _Solutions(ledger, asked)
        reused = tokens = 0
        limit = self.sampling.max_new_tokens
        with context.console.progress("answers drawn", until.draws * len(asked), "draws", limit) as tally:
            more = True
            while more:
                before = sum(solutions.counts)
                found, made = ledger.draw(self._asks(solutions, until.draws, wanted), tally)
                reused, tokens, more = reused + found, tokens + made, sum(solutions.counts) > before
            if (drawn := sum(solutions.counts)) < tally.total:
                tally.settle(f"{tally.total - drawn:,} draws were not needed")
        draws = Draws(ledger.key, solutions, reused, tokens, solutions.counts)
        context.costs(tokens=solutions.tokens, new_tokens=tokens)
        return draws

    def _asks(self, solutions: "_Solutions", most: int, wanted: Callable[[Sequence[Solution]], int]) -> Iterator[Ask]:
        """Asks of the next round, question by question, and counts them."""
        for index, question in enumerate(solutions.asked):
            made = solutions.counts[index]
            count = wanted(solutions[index]) if made < most else 0
            prompt = fill(self.solve, question=question.text) if count else ""
            solutions.counts[index] += count
            for draw in range(made, made + count):
                yield Ask(question.id, draw, prompt)


class _Solutions(Sequence[list[Solution]]):
    """The draws of each question, read from the ledger when they are looked at. `counts[i]` is their number."""

    def __init__(self, ledger: Ledger, asked: Sequence[Question]) -> None:
        self._ledger, self.asked = ledger, asked
        self.counts = array("q", bytes(8 * len(asked)))

    @property
    def tokens(self) -> int:
        """New tokens of all draws, including reused ones."""
        return sum(self._ledger.tokens(one.id, made) for one, made in zip(self.asked, self.counts, strict=True))

    def __len__(self) -> int:
        return len(self.asked)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        if not self.counts[index]:
            return []
        name = self.asked[index].id
        return list(self._ledger.rows((name, draw) for draw in range(self.counts[index])))

    def __iter__(self) -> Iterator[list[Solution]]:
        rows = self._ledger.rows(
            (one.id, draw) for one, made in zip(self.asked, self.counts, strict=True) for draw in range(made)
        )
        for made in self.counts:
            yield list(islice(rows, made))
