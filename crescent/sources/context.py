"""Where training pairs come from: the `source` choice.

In: a `Bench`, which holds what a source may work with. Out, in two steps, so that questions are compared with the
benchmarks in between: an artifact of Questions, and an artifact of QAPairs. `self_generated.py` is Crescent itself;
`seeded.py`
holds the baselines, which begin with seed data and are given as many pairs. A source trains and scores nothing.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from crescent.core.console import Console, counted
from crescent.core.records import Question
from crescent.core.store import Artifact, Store
from crescent.dedup.stage import Diversify
from crescent.domain import Domain
from crescent.elicitation.stage import Elicit
from crescent.engines import LazyEngine
from crescent.observers.summary import StageReport
from crescent.voting.answer_stage import Answer
from crescent.voting.stage import Vote


@dataclass(frozen=True, slots=True)
class Steps:
    """The steps that make pairs, with their settings."""

    domain: Domain
    elicit: Elicit
    diversify: Diversify
    answer: Answer
    vote: Vote


class Report(Protocol):
    """Times a step, `seconds` of it spent before, and reports it."""

    def __call__(self, name: str, seconds: float = 0.0) -> AbstractContextManager[StageReport]: ...


@dataclass(frozen=True, slots=True)
class Bench:
    """What a source works with in one iteration. `earlier` are the questions that are not to be asked again."""

    steps: Steps
    store: Store
    teacher: LazyEngine
    embed: Callable[[Sequence[str]], np.ndarray]
    embedder_key: str
    console: Console
    stage: Report
    earlier: tuple[Artifact, ...] = ()


class Source(Protocol):
    """The settings of a `source` choice. `num_pairs` are trained on, None takes all there are."""

    @property
    def name(self) -> str: ...

    @property
    def num_pairs(self) -> int | None: ...

    @property
    def elicits(self) -> bool:
        """Whether the teacher asks the questions."""
        ...

    @property
    def steps(self) -> tuple[str, ...]:
        """The stages that give the pairs, in order; the plan of a sweep counts what they share."""
        ...

    def check(self, kind: str) -> None:
        """Raises ValueError with the mend where its seed data cannot be read. `kind` is the domain's of answers."""
        ...

    def ask(self, bench: Bench) -> Artifact:
        """The questions of this iteration."""
        ...

    def label(self, bench: Bench, questions: Artifact, checked: Artifact) -> Artifact:
        """Pairs of the `checked` ones of `questions`, with a ballot for each."""
        ...


def answer_and_vote(bench: Bench, checked: Artifact) -> Artifact:
    """Each question is answered several times; the answer most draws agree on wins."""
    from crescent.observers.narration import tell_voted

    steps, store = bench.steps, bench.store
    rule, texts = steps.vote.rule, checked.read(Question)
    bench.console.heading(f"3 Answer and vote ({rule.name}): up to {counted(rule.draws, 'draw')} of each question")
    with bench.stage("answer") as report:
        draws = steps.answer.run(texts, steps.vote.wanted(store), rule.draws, store, bench.teacher, bench.console)
        report.key, report.records, report.reused_records = draws.key, draws.count, draws.reused
        report.tokens, report.new_tokens = draws.tokens, draws.generated_tokens
    with bench.stage("vote") as report:
        pairs = steps.vote.run(checked, texts, draws.solutions, draws.key, store)
        report.fill(pairs)
    tell_voted(bench.console, pairs, texts, draws)
    return pairs
