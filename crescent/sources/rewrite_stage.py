"""New questions from seeds, written by the teacher: rephrasings and backward questions.

In: an artifact of seeds. Out: an artifact of Questions with `golds.jsonl`: the expected answer of each, and how it was
made. Nothing is answered here. Every completion is kept in a ledger, so baselines share them.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any, ClassVar, Protocol

from crescent.answers.thoughts import UNCLOSED, ending, without_thoughts
from crescent.core.console import counted
from crescent.core.context import ModelKeys, Stage, StageContext
from crescent.core.errors import UserError
from crescent.core.records import GOLDS, Gold, Question, Solution, encode, read_golds, text_id
from crescent.core.store import Artifact, Key, Outcome
from crescent.domain import fill
from crescent.elicitation import clean_question
from crescent.engines import Sampling
from crescent.engines.ledger import Ask, Ledger
from crescent.sources.metamath import mask_numbers, split_question, states


@dataclass(frozen=True, slots=True)
class Draft:
    """A question to be written. `ask` is the request to the teacher, None if none is needed.

    `form` is the question with {reply} in it; `expected` its answer; `must_state` what the reply must contain.
    """

    seed_id: str
    ask: Ask | None
    form: str
    expected: str
    must_state: str | None = None


class Way(Protocol):
    """A way to make questions. `prompt` is the template in the key of the teacher's ledger."""

    @property
    def kind(self) -> str: ...

    @property
    def prompt(self) -> str: ...

    def drafts(self, question: Question, gold: Gold) -> list[Draft]: ...


@dataclass(frozen=True, slots=True)
class Rephrased:
    """The teacher rephrases a seed `per_seed` times; the answer should stay the same."""

    prompt: str
    per_seed: int
    kind: str = "rephrased"

    def __post_init__(self) -> None:
        _require("rephrase", self.prompt, "{question}")
        if self.per_seed < 1:
            raise UserError(f"source.method.per_seed is {self.per_seed}; it must be at least 1")

    def drafts(self, question: Question, gold: Gold) -> list[Draft]:
        text = fill(self.prompt, question=question.text)
        asks = [Ask(question.id, draw, text) for draw in range(self.per_seed)]
        return [Draft(question.id, ask, "{reply}", gold.answer) for ask in asks]


@dataclass(frozen=True, slots=True)
class SelfVerification:
    """The teacher turns the question and its answer into a statement; then a number of the story is asked for instead
    (Weng et al., arXiv 2212.09561)."""

    prompt: str
    form: str
    per_seed: int
    kind: str = "self_verification"

    def __post_init__(self) -> None:
        _require("declare", self.prompt, "{question}", "{answer}")
        _require("verify", self.form, "{story}", "{statement}")

    def drafts(self, question: Question, gold: Gold) -> list[Draft]:
        story, asks = split_question(question.text)
        prompt = fill(self.prompt, question=asks, answer=gold.answer)
        ask = Ask(text_id(asks, gold.answer), 0, prompt)
        return [
            Draft(question.id, ask, fill(self.form, story=mask.text, statement="{reply}"), mask.hidden, gold.answer)
            for mask in mask_numbers(story)[: self.per_seed]
        ]


@dataclass(frozen=True, slots=True)
class Fobar:
    """A number is hidden and the answer is given (Jiang et al., arXiv 2308.07758). Needs no teacher."""

    form: str
    per_seed: int
    kind: str = "fobar"
    prompt: str = ""

    def __post_init__(self) -> None:
        _require("fobar", self.form, "{question}", "{answer}")

    def drafts(self, question: Question, gold: Gold) -> list[Draft]:
        hidden = mask_numbers(question.text)[: self.per_seed]
        return [
            Draft(question.id, None, fill(self.form, question=mask.text, answer=gold.answer), mask.hidden)
            for mask in hidden
        ]


@dataclass(frozen=True, slots=True)
class Written:
    """Cost of rewriting: tokens of all replies, and of those generated in this run."""

    tokens: int = 0
    new_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Rewrite(Stage):
    """Makes questions in several ways; the first question of every seed comes before any second. `with_seeds`: the
    seeds come first."""

    NAME: ClassVar[str] = "rewrite"
    VERSION: ClassVar[int] = 6
    TOKENS: ClassVar[str | None] = "tokens"

    ways: tuple[Way, ...]
    sampling: Sampling
    min_chars: int
    max_chars: int
    with_seeds: bool

    def key(self, models: ModelKeys, *inputs: str) -> Key:
        """`inputs`: the seeds."""
        return Key(self.NAME, self.VERSION, self, (*inputs, models.engine))

    def title(self, *inputs: object, **options: object) -> str:
        """Heading on the console."""
        return "2 Rewrite: the teacher makes new questions from the seeds"

    def run(self, context: StageContext, seeds: Artifact) -> Artifact:
        """Returns the questions without duplicate texts. Raises UserError if there are none."""
        written = [Written()]

        def build(work: Path) -> Outcome:
            known = list(zip(seeds.read(Question), read_golds(seeds.path), strict=True))
            made = {question.id: (question, gold) for question, gold in known}
            counts: Counter[str] = Counter()
            for way in self.ways:
                turns = zip_longest(*(way.drafts(question, gold) for question, gold in known))
                drafts = [draft for turn in turns for draft in turn if draft is not None]
                replies, paid = self._replies(way, drafts, context)
                written[0] = Written(written[0].tokens + paid.tokens, written[0].new_tokens + paid.new_tokens)
                for reason, question, gold in self._finish(way.kind, drafts, replies):
                    fresh = question.id not in made
                    counts[f"{way.kind}/{reason if fresh or reason != 'kept' else 'repeated'}"] += 1
                    if reason == "kept" and fresh:
                        made[question.id] = (question, gold)
            kept = list(made.values())[0 if self.with_seeds else len(known) :]
            if not kept:
                raise UserError(
                    f"source: the teacher wrote no usable question from {counted(len(known), 'seed')} "
                    f"({_told(counts)}). Check the prompts of the source, or use a teacher that follows them."
                )
            with open(work / GOLDS, "w", encoding="utf-8") as file:
                file.writelines(encode(gold) + "\n" for _, gold in kept)
            info = {"seeds": len(known), "questions": len(kept), "tokens": written[0].tokens, **dict(counts)}
            return Outcome([question for question, _ in kept], info, {GOLDS: work / GOLDS})

        made = context.store.build(context.key(self, seeds), build)
        context.costs(new_tokens=written[0].new_tokens)
        made_of = f"{counted(made.records, 'question')} from {counted(made.info['seeds'], 'seed')}"
        context.console.say(f"{made_of} ({_told(made.info)})")
        return made

    def _replies(
        self, way: Way, drafts: Sequence[Draft], context: StageContext
    ) -> tuple[dict[tuple[str, int], Solution], Written]:
        """The teacher's replies by (id, draw), each requested once."""
        asks = list({(draft.ask.id, draft.ask.draw): draft.ask for draft in drafts if draft.ask}.values())
        if not asks:
            return {}, Written()
        kind, limit = way.kind.replace("_", "-"), self.sampling.max_new_tokens
        with context.console.progress(f"{kind} drafts", len(asks), "replies", limit) as tally:
            drawn = Ledger(context.store, context.engine, way.prompt, self.sampling).complete(asks, tally)
        replies = {(ask.id, ask.draw): row for ask, row in zip(asks, drawn.rows, strict=True)}
        return replies, Written(sum(row.new_tokens for row in drawn.rows), drawn.generated_tokens)

    def _finish(
        self, kind: str, drafts: Sequence[Draft], replies: dict[tuple[str, int], Solution]
    ) -> Iterator[tuple[str, Question, Gold]]:
        """Yields ("kept" or the reason against it, question, expected answer) for each draft."""
        for draft in drafts:
            text, finish, reason = "", "stop", "kept"
            if draft.ask is not None:
                row = replies[draft.ask.id, draft.ask.draw]
                text, finish = without_thoughts(row.text).strip(), row.finish_reason
                reason = UNCLOSED if ending(row.text, finish) == UNCLOSED else reason
            is_stated = draft.must_state is None or (finish == "stop" and states(text, draft.must_state))
            if reason == "kept" and not is_stated:
                reason = "no statement"
            cleaned = clean_question(fill(draft.form, reply=text), finish, self.min_chars, self.max_chars)
            if reason == "kept" and cleaned.question is None:
                reason = cleaned.reason
            full = cleaned.question or ""
            question = Question(text_id(full), full, 0, draft.seed_id)
            yield reason, question, Gold(question.id, draft.expected, "", kind)


def _told(counts: Mapping[str, Any]) -> str:
    """For the console: rephrased/kept 40, rephrased/no question 3."""
    return ", ".join(f"{name} {count}" for name, count in counts.items() if "/" in name) or "nothing to rewrite"


def _require(key: str, prompt: str, *parts: str) -> None:
    for part in parts:
        if part not in prompt:
            raise UserError(f"source.{key} does not contain {part}; add it")
