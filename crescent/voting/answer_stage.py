"""Answering: the model solves each question several times.

In: Questions, and a rule for how many draws each needs. Out: the draws; those in the ledger are reused, missing ones
are generated and committed to it. Answers are not extracted here: see `vote`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

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
        prompts = [fill(self.solve, question=question.text) for question in asked]
        solutions: list[list[Solution]] = [[] for _ in asked]
        reused = tokens = 0
        limit = self.sampling.max_new_tokens
        with context.console.progress("answers drawn", until.draws * len(asked), "draws", limit) as tally:
            while asks := _asks(asked, prompts, solutions, wanted):
                drawn = ledger.complete([ask for _, ask in asks], tally)
                for (index, _), row in zip(asks, drawn.rows, strict=True):
                    solutions[index].append(row)
                reused, tokens = reused + drawn.reused, tokens + drawn.generated_tokens
            made = sum(map(len, solutions))
            if made < tally.total:
                tally.settle(f"{tally.total - made:,} draws were not needed")
        draws = Draws(ledger.key, solutions, reused, tokens)
        context.costs(tokens=draws.tokens, new_tokens=tokens)
        return draws


def _asks(
    questions: Sequence[Question],
    prompts: Sequence[str],
    solutions: Sequence[Sequence[Solution]],
    wanted: Callable[[Sequence[Solution]], int],
) -> list[tuple[int, Ask]]:
    """(index of the question, ask) for the next round, question by question."""
    return [
        (index, Ask(question.id, len(draws) + draw, prompts[index]))
        for index, (question, draws) in enumerate(zip(questions, solutions, strict=True))
        for draw in range(wanted(draws))
    ]
