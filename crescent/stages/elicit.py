"""Elicitation: a bait prompt makes the model write raw questions, as an indexed stream.

In: an engine and a bait. Out: shard i of raw samples, a function of (engine identity, bait, sampling, seed, i) and of
nothing after it, so that every dedup strategy sees the same candidates. It judges nothing: see `diversify`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from crescent.engines import LazyEngine, Prompt, Sampling
from crescent.records import RawQuestion
from crescent.store import Artifact, Outcome, Store, make_key


@dataclass(frozen=True, slots=True)
class Elicit:
    """`round_size` completions of `bait` make one shard (the paper: 550 rounds of 100 at temperature 1)."""

    VERSION: ClassVar[int] = 1

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
        return make_key("elicit", self.VERSION, self, [engine.identity])

    def shard(self, index: int, store: Store, engine: LazyEngine) -> Artifact:
        """Round `index` of the stream: `round_size` RawQuestions."""

        def build(_work: Path) -> Outcome:
            draws = range(index * self.round_size, (index + 1) * self.round_size)
            made = engine.get().generate([Prompt(self.bait, draw) for draw in draws], self.sampling)
            rows = [
                RawQuestion(draw, completion.text, completion.finish_reason, completion.new_tokens)
                for draw, completion in zip(draws, made, strict=True)
            ]
            return Outcome(rows, {"tokens": sum(row.new_tokens for row in rows)})

        return store.build("elicit", self.VERSION, {"stage": self, "shard": index}, [engine.identity], build)
