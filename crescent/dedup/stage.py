"""Diversification: pulls rounds of raw questions until enough different ones are kept.

In: the elicitation stream, a dedup strategy, an embedder. Out: an artifact of Questions, in order of acceptance, and
`decisions.jsonl`: what happened to each candidate, and why. Rewrites have their own ledger, so a killed run repeats
none of them.
"""

import logging
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

from crescent.core.console import counted
from crescent.core.context import ModelKeys, Stage, StageContext
from crescent.core.errors import UserError
from crescent.core.events import StageReport
from crescent.core.progress import Tally
from crescent.core.records import Decision, Question, RawQuestion, encode, text_id
from crescent.core.store import Artifact, Key, Outcome
from crescent.dedup import Candidate, Dedup, Judged, Rewrite, Tools
from crescent.domain import fill
from crescent.elicitation import Cleaned, clean_question
from crescent.engines import Completion, Finished, Sampling, unfinished
from crescent.engines.ledger import Ask, Ledger
from crescent.similarity.diversity import measure, measured

log = logging.getLogger(__name__)
DECISIONS = "decisions.jsonl"
BARREN_ROUNDS = 5  # after this many rounds in a row without a kept question the bait counts as exhausted
EXAMPLES, EXAMPLE_CHARACTERS = 3, 300  # number and length of texts quoted per reason in the artifact's info
MIN_KEPT_SHARE = 0.1  # of a round; below it the round adds little


class Stream(Protocol):
    """The elicitation stream: shard i of raw questions. `ahead` is the number of rounds likely to be requested from i
    on; `finished` is called for every completion. The consumer sets `records` to the number of raw questions it used.
    """

    key: str
    records: int
    info: dict[str, Any]

    def shard(self, index: int, ahead: int = 1, finished: Finished | None = None) -> Artifact: ...


@dataclass(frozen=True, slots=True)
class Diversify(Stage):
    """Keeps `num_questions`, or fewer if `max_rounds` is reached or the bait is exhausted (a line reports it).

    `modify` is the prompt that asks for a rewrite; it contains {question} and {neighbour}.
    """

    NAME: ClassVar[str] = "diversify"
    VERSION: ClassVar[int] = 6
    TOKENS: ClassVar[str | None] = "rewrite_tokens"

    dedup: Dedup
    modify: str
    sampling: Sampling
    num_questions: int
    max_rounds: int
    min_chars: int = 20
    max_chars: int = 2000

    def __post_init__(self) -> None:
        if self.num_questions < 1:
            raise UserError(f"num_questions is {self.num_questions}; it must be at least 1")
        if self.max_rounds < 1:
            raise UserError(f"elicit.max_rounds is {self.max_rounds}; it must be at least 1")
        for part in ("{question}", "{neighbour}"):
            if part not in self.modify:
                raise UserError(f"domain.modify does not contain {part}; the model must be shown both questions")

    def key(self, models: ModelKeys, *inputs: str) -> Key:
        """`inputs`: the stream's key, then those of earlier questions."""
        stream, *earlier = inputs
        return Key(self.NAME, self.VERSION, self, (stream, models.embedder, *earlier))

    def title(self, *inputs: object, **options: object) -> str:
        """One heading for both: rounds are elicited as diversification requests them."""
        return "1-2 Elicit and diversify: the model asks questions, those too similar to a kept one are sent back"

    def run(self, context: StageContext, stream: Stream, *earlier: Artifact) -> Artifact:
        """The kept questions; new ones are also compared with the questions of `earlier` artifacts.

        Raises UserError if there is no valid question at all.
        """
        pulled: list[_RoundLoop] = []

        def build(work: Path) -> Outcome:
            limit = self.sampling.max_new_tokens
            with context.console.progress("questions kept", self.num_questions, "questions", limit) as tally:
                loop = _RoundLoop(self, stream, context, tally)
                loop.remember([question for artifact in earlier for question in artifact.read(Question)])
                loop.until_enough()
            pulled.append(loop)
            diversity = loop.diversity()
            for line in loop.remarks():
                context.console.say(line)
            with open(work / DECISIONS, "w", encoding="utf-8") as file:
                file.writelines(encode(decision) + "\n" for decision in loop.decisions)
            return Outcome(loop.kept, {**loop.info(), **diversity}, {DECISIONS: work / DECISIONS})

        questions = context.store.build(context.key(self, stream, *earlier), build)
        elicited = StageReport("elicit", context.iteration, stream.key)
        stream.records = elicited.records = elicited.reused_records = questions.info["candidates"]
        elicited.tokens = questions.info["elicit_tokens"]
        if pulled:
            pulled[0].report(elicited)
            context.costs(new_tokens=pulled[0].new_rewrite_tokens)
        context.ran_within(elicited, stream)
        return questions


class _RoundLoop:
    """The loop over rounds, with its counters."""

    def __init__(self, stage: Diversify, stream: Stream, context: StageContext, tally: Tally) -> None:
        self._stage, self._stream, self._embed, self._tally = stage, stream, context.embed, tally
        self._ledger = Ledger(context.store, context.engine, stage.modify, stage.sampling)
        self._judge = stage.dedup.open(Tools(context.embed, self._rewrite, context.store.root / "pools"))
        self.kept: list[Question] = []
        self.decisions: list[Decision] = []
        self.shards: list[Artifact] = []
        self._asked: list[str] = []
        self._ended: list[str] = []
        self.acceptance: list[float] = []
        self._rewrite_tokens = self.new_rewrite_tokens = self._rewrites = self._rounds_without_gain = 0
        self._seconds, self._raw, self._ahead = 0.0, 0, 0
        tally.completions_left = self._texts_left

    def remember(self, questions: Sequence[Question]) -> None:
        """Adds questions that new ones are also compared with."""
        if questions:
            self._judge.remember(questions)

    def until_enough(self) -> None:
        stage = self._stage
        while (
            len(self.kept) < stage.num_questions
            and len(self.shards) < stage.max_rounds
            and self._rounds_without_gain < BARREN_ROUNDS
        ):
            self._round(len(self.shards))
        if not self.kept:
            reasons = Counter(decision.reason for decision in self.decisions).most_common(2)
            why = ", ".join(f"{reason}: {count}" for reason, count in reasons)
            raise UserError(
                f"no valid question in {len(self.decisions)} completions of the bait ({why}). "
                "Look at domain.bait (or elicit.opening) and at the samples in the store's artifacts/elicit folder."
            )

    def _round(self, index: int) -> None:
        start = time.monotonic()
        shard = self._stream.shard(index, self._rounds_left(), self._written)
        self._seconds += time.monotonic() - start
        self.shards.append(shard)
        self._ahead = max(0, self._ahead - (0 if shard.reused else shard.records))
        candidates = []
        for raw in shard.read(RawQuestion):
            self._ended.append(raw.finish_reason)
            cleaned = self._clean(raw.text, raw.finish_reason)
            if cleaned.question is None:
                self.decisions.append(_invalid(raw.text, cleaned.reason, index))
            else:
                candidates.append(Candidate(cleaned.question, cleaned.question, index, len(candidates)))
        self._asked += [candidate.text for candidate in candidates]
        before = len(self.kept)
        self._take(self._judge.judge(candidates))
        self._rounds_without_gain = 0 if len(self.kept) > before else self._rounds_without_gain + 1
        self.acceptance.append(round((len(self.kept) - before) / shard.records, 4))
        self._tally.advance(len(self.kept) - before, f"round {index + 1}, {self.acceptance[-1]:.0%} of it kept")

    def _written(self, _index: int, _made: Completion) -> None:
        """Shows progress: several rounds may be generated before the first is judged."""
        self._raw += 1
        self._ahead += 1
        self._tally.complete()
        self._tally.advance(0, f"{counted(self._raw, 'raw question')} generated")

    def _texts_left(self) -> int | None:
        """Expected number of raw texts still to be generated; None before the first round is judged."""
        if not self.acceptance:
            return None
        return max(0, self._rounds_left() * self.shards[-1].records - self._ahead)

    def _rounds_left(self) -> int:
        """Expected number of further rounds, if each keeps as many as the last one; 1 before the first."""
        if not self.shards:
            return 1
        kept = max(1, round(self.acceptance[-1] * self.shards[-1].records))
        rounds = -(-(self._stage.num_questions - len(self.kept)) // kept)
        return min(rounds, self._stage.max_rounds - len(self.shards))

    def _take(self, judged: Sequence[Judged]) -> None:
        """Takes decisions in order, and stops after the last question that is needed."""
        for one in judged:
            if len(self.kept) == self._stage.num_questions:
                return
            self.decisions.append(one.decision)
            if one.question is not None:
                self.kept.append(one.question)

    def _rewrite(self, rewrites: Sequence[Rewrite]) -> list[str | None]:
        """The model's rewrites, cleaned, in one batch."""
        asks = [
            Ask(text_id(question, neighbour), 0, fill(self._stage.modify, question=question, neighbour=neighbour))
            for question, neighbour in rewrites
        ]
        self._tally.advance(0, f"{counted(len(asks), 'near-duplicate')} rewritten")
        drawn = self._ledger.complete(asks)
        self._rewrites += len(asks)
        self._rewrite_tokens += sum(row.new_tokens for row in drawn.rows)
        self.new_rewrite_tokens += drawn.generated_tokens
        return [self._clean(row.text, row.finish_reason).question for row in drawn.rows]

    def _clean(self, text: str, finish_reason: str) -> Cleaned:
        return clean_question(text, finish_reason, self._stage.min_chars, self._stage.max_chars)

    def diversity(self) -> dict[str, float]:
        """Diversity of the kept questions (after), and of as many valid ones as the model first asked (before); of
        very many, a part is measured.
        """
        kept = measured([question.text for question in self.kept])
        asked = measured(self._asked[: len(self.kept)])
        before, after = measure(asked, self._embed(asked)), measure(kept, self._embed(kept))
        return {**before.named("before"), **after.named("after")}

    def info(self) -> dict[str, object]:
        """The artifact's counters; they depend only on settings and inputs."""
        verdicts = Counter(decision.verdict for decision in self.decisions)
        return {
            "candidates": sum(shard.records for shard in self.shards),
            "rounds": len(self.shards),
            **{verdict: verdicts[verdict] for verdict in ("accepted", "rewritten", "dropped", "invalid")},
            "thrown_away": thrown_away(self.decisions),
            "acceptance_by_round": self.acceptance,
            "rewrites": self._rewrites,
            "rewrite_tokens": self._rewrite_tokens,
            "elicit_tokens": sum(shard.info["tokens"] for shard in self.shards),
            "unfinished": unfinished(self._ended),
        }

    def report(self, elicited: StageReport) -> None:
        """Sets which part of the stream this run paid for."""
        fresh = [shard for shard in self.shards if not shard.reused]
        elicited.reused_records -= sum(shard.records for shard in fresh)
        elicited.new_tokens = sum(shard.info["tokens"] for shard in fresh)
        elicited.seconds = round(self._seconds, 3)

    def remarks(self) -> list[str]:
        """What the user should know about how the loop ended."""
        last = self.acceptance[-BARREN_ROUNDS:]
        if len(self.kept) == self._stage.num_questions:
            if len(last) == BARREN_ROUNDS and sum(last) < MIN_KEPT_SHARE * BARREN_ROUNDS:
                share = sum(last) / BARREN_ROUNDS
                return [
                    f"New rounds add little: {share:.0%} of the last {BARREN_ROUNDS} rounds was kept. More questions "
                    "will cost more and more; another bait, model or temperature would bring new ones."
                ]
            return []
        asked = f"{len(self.kept)} of {self._stage.num_questions} questions"
        if self._rounds_without_gain == BARREN_ROUNDS:
            return [f"The bait is exhausted: the last {BARREN_ROUNDS} rounds kept nothing. Continuing with {asked}."]
        return [f"Stopped after elicit.max_rounds={self._stage.max_rounds} with {asked}."]


def thrown_away(decisions: Sequence[Decision]) -> dict[str, dict[str, Any]]:
    """Why candidates were not kept, the most common reason first: the count, and the first few texts."""
    found: dict[str, list[str]] = {}
    for decision in decisions:
        if decision.verdict in ("invalid", "dropped"):
            found.setdefault(decision.reason, []).append(decision.text)
    by_count = sorted(found.items(), key=lambda item: (-len(item[1]), item[0]))
    return {
        reason: {"count": len(texts), "examples": [text[:EXAMPLE_CHARACTERS] for text in texts[:EXAMPLES]]}
        for reason, texts in by_count
    }


def _invalid(text: str, reason: str, index: int) -> Decision:
    return Decision(text_id(text), "invalid", None, 0.0, 0, reason, text, index)
