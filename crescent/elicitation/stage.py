"""Elicitation: a bait prompt makes the model write raw questions, as an indexed stream.

In: an engine and a bait. Out: shard i of raw samples, a function of (engine identity, bait, sampling, seed, i) and of
nothing after it, so that every dedup strategy sees the same candidates. It judges nothing: see `diversify`.

Several rounds may be generated at once, for an engine that has room for them. Those nobody has asked for yet wait in
the stream's journal: a shard is committed when it is asked for, so equal runs leave equal artifacts on any engine.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from crescent.core.records import RawQuestion
from crescent.core.store import Artifact, Outcome, Store, make_key
from crescent.engines import Completion, Finished, LazyEngine, Prompt, Sampling, unfinished
from crescent.engines.journal import Journal


@dataclass(frozen=True, slots=True)
class Elicit:
    """`round_size` completions of `bait` make one shard (the paper: 550 rounds of 100 at temperature 1)."""

    NAME: ClassVar[str] = "elicit"
    VERSION: ClassVar[int] = 2

    bait: str
    sampling: Sampling
    round_size: int = 100

    def __post_init__(self) -> None:
        if not self.bait.strip():
            raise ValueError("domain.bait is empty; it must ask the model for one question")
        if self.round_size < 1:
            raise ValueError(f"elicit.round_size is {self.round_size}; it must be at least 1")

    def stream_key(self, engine: LazyEngine) -> str:
        """The identity of the whole stream."""
        return make_key(self.NAME, self.VERSION, self, [engine.identity])

    def shard(
        self, index: int, store: Store, engine: LazyEngine, ahead: int = 1, finished: Finished | None = None
    ) -> Artifact:
        """Round `index` of the stream: `round_size` RawQuestions.

        `ahead` is how many rounds, this one included, the caller is likely to ask for: as many of them are generated
        with it as the engine has an appetite for. `finished` hears of each completion that is generated.
        """
        rounds = max(1, min(ahead, engine.appetite // self.round_size))

        def build(_work: Path) -> Outcome:
            made = self._generate(index, rounds, store, engine, finished)
            rows = [
                RawQuestion(draw, completion.text, completion.finish_reason, completion.new_tokens)
                for draw, completion in zip(self._draws(index), made, strict=True)
            ]
            ended = unfinished(row.finish_reason for row in rows)
            return Outcome(rows, {"tokens": sum(row.new_tokens for row in rows), "unfinished": ended})

        shard = store.build(self.NAME, self.VERSION, self._settings(index), [engine.identity], build)
        if not shard.reused:
            with store.lock(self._lock(engine)):
                self._journal(store, engine).forget(self._prompts(index), self.sampling)
        return shard

    def _generate(
        self, index: int, rounds: int, store: Store, engine: LazyEngine, finished: Finished | None
    ) -> list[Completion]:
        """The completions of round `index`; where they are missing, those of the rounds after it with them."""
        with store.lock(self._lock(engine)):
            journal = self._journal(store, engine)
            kept = journal.find(self._prompts(index), self.sampling)
            if kept is not None:
                return kept
            others = [one for one in range(index + 1, index + rounds) if not self._is_committed(one, store, engine)]
            prompts = [prompt for one in (index, *others) for prompt in self._prompts(one)]
            return journal.generate(engine.get, prompts, self.sampling, finished)[: self.round_size]

    def _is_committed(self, index: int, store: Store, engine: LazyEngine) -> bool:
        key = make_key(self.NAME, self.VERSION, self._settings(index), [engine.identity])
        return store.open("elicit", key) is not None

    def _settings(self, index: int) -> dict[str, Any]:
        return {"stage": self, "shard": index}

    def _draws(self, index: int) -> range:
        return range(index * self.round_size, (index + 1) * self.round_size)

    def _prompts(self, index: int) -> list[Prompt]:
        return [Prompt(self.bait, draw) for draw in self._draws(index)]

    def _lock(self, engine: LazyEngine) -> str:
        return f"stream-{self.stream_key(engine)}"

    def _journal(self, store: Store, engine: LazyEngine) -> Journal:
        return Journal(store.root / "work" / "streams" / f"{self.stream_key(engine)}.jsonl")
