"""Elicitation: a bait prompt, or an opened user turn, makes the model write raw questions, as an indexed stream.

In: an engine and a bait. Out: shard i of raw samples, a function of (engine identity, bait, sampling, seed, i) and of
nothing downstream, so all dedup strategies see the same candidates. Samples are not judged here: see `diversify`.

Several rounds may be generated together if the engine has room. Prefetched rounds stay in the journal until requested,
so prefetching does not change committed artifacts.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from crescent.core.context import EngineHandle, ModelKeys, Stage, StageContext
from crescent.core.errors import UserError
from crescent.core.records import RawQuestion, text_id
from crescent.core.store import Artifact, Key, Outcome, Store, not_in_key, omit_from_key_at, renamed_in_key
from crescent.elicitation.openings import Bait, Opening
from crescent.engines import Completion, Finished, Prompt, Sampling, unfinished
from crescent.engines.journal import Journal
from crescent.engines.weights import Weights

MAX_ROUND = 1_000_000  # a round is held in memory


@dataclass(frozen=True, slots=True)
class Elicit(Stage):
    """Settings. `samples_per_round` completions of `bait` form one shard (the paper: 550 rounds of 100 at temperature
    1). From several baits, each draw takes one by seed. `opening` turns the bait into a prompt for the model of
    `weights`."""

    NAME: ClassVar[str] = "elicit"
    VERSION: ClassVar[int] = 2
    LAZY: ClassVar[bool] = True

    bait: str | tuple[str, ...]
    sampling: Sampling
    samples_per_round: int = renamed_in_key("round_size", default=100)
    opening: Opening = omit_from_key_at(Bait())
    weights: Weights | None = not_in_key(default=None)

    def __post_init__(self) -> None:
        if self.samples_per_round < 1:
            raise UserError(f"elicit.samples_per_round is {self.samples_per_round}; it must be at least 1")
        if self.samples_per_round > MAX_ROUND:
            raise UserError(f"elicit.samples_per_round is {self.samples_per_round}; it may be up to {MAX_ROUND:,}")

    def key(self, models: ModelKeys, *inputs: str) -> Key:
        """Key of the whole stream."""
        return Key(self.NAME, self.VERSION, self, (models.engine,))

    def run(self, context: StageContext) -> "Stream":
        """Returns the stream; nothing is generated yet."""
        return Stream(self, context.store, context.engine)

    def draws(self, index: int) -> range:
        """Draw numbers of round `index`."""
        return range(index * self.samples_per_round, (index + 1) * self.samples_per_round)

    def prompts(self, index: int) -> list[Prompt]:
        """Prompts of round `index`."""
        opened = [(draw, self.opening.open(self._bait(draw), self.weights)) for draw in self.draws(index)]
        return [Prompt(one.text, draw, one.rendered) for draw, one in opened]

    @property
    def asking(self) -> Sampling:
        """How the prompts are completed: `sampling`, with what the opening adds to its stops."""
        stop = self.opening.open(self._bait(0), self.weights).stop
        return replace(self.sampling, stop=(*self.sampling.stop, *stop)) if stop else self.sampling

    def _bait(self, draw: int) -> str:
        """The bait of a draw, by seed."""
        if isinstance(self.bait, str):
            return self.bait
        return self.bait[int(text_id(str(self.sampling.seed), str(draw))[:8], 16) % len(self.bait)]


class Stream:
    """The elicitation stream of one engine, round by round. `records` counts the questions pulled so far."""

    def __init__(self, stage: Elicit, store: Store, engine: EngineHandle) -> None:
        self._stage, self._store, self._engine = stage, store, engine
        self.key = stage.key(ModelKeys(engine.identity, "")).digest
        self.records = 0
        self.info: dict[str, Any] = {}

    def shard(self, index: int, ahead: int = 1, finished: Finished | None = None) -> Artifact:
        """Returns round `index` of the stream: `samples_per_round` RawQuestions.

        `ahead` is how many rounds, including this one, the caller will probably request: as many are generated together
        as fit the engine's preferred batch. `finished` is called for every generated completion.
        """
        stage = self._stage
        rounds = max(1, min(ahead, self._engine.preferred_batch // stage.samples_per_round))

        def build(_work: Path) -> Outcome:
            made = self._generate(index, rounds, finished)
            rows = [
                RawQuestion(draw, completion.text, completion.finish_reason, completion.new_tokens)
                for draw, completion in zip(stage.draws(index), made, strict=True)
            ]
            ended = unfinished(row.finish_reason for row in rows)
            return Outcome(rows, {"tokens": sum(row.new_tokens for row in rows), "unfinished": ended})

        shard = self._store.build(self._shard_key(index), build)
        if not shard.reused:
            with self._store.lock(f"stream-{self.key}"):
                self._journal().forget(stage.prompts(index), stage.asking)
        return shard

    def _generate(self, index: int, rounds: int, finished: Finished | None) -> list[Completion]:
        """Completions of round `index`. If they are not in the journal, those of the following rounds are generated
        with them."""
        stage = self._stage
        with self._store.lock(f"stream-{self.key}"):
            journal = self._journal()
            kept = journal.find(stage.prompts(index), stage.asking)
            if kept is not None:
                return kept
            others = [one for one in range(index + 1, index + rounds) if not self._is_committed(one)]
            prompts = [prompt for one in (index, *others) for prompt in stage.prompts(one)]
            return journal.generate(self._engine.get, prompts, stage.asking, finished)[: stage.samples_per_round]

    def _is_committed(self, index: int) -> bool:
        return self._store.open(self._stage.NAME, self._shard_key(index).digest) is not None

    def _shard_key(self, index: int) -> Key:
        settings = {"stage": self._stage, "shard": index}
        return Key(self._stage.NAME, self._stage.VERSION, settings, (self._engine.identity,))

    def _journal(self) -> Journal:
        return Journal(self._store.root / "work" / "streams" / f"{self.key}.jsonl")
