"""An engine and an embedder over the workers of a Ray cluster.

In: prompts or texts. Out: the results of a single engine or embedder, in order. The work is split into shards. A shard
is identified by what it asks for and gives the same result on any worker, so a lost worker's shard is redone elsewhere
and nothing arrives twice. A shard's completions are handed out as soon as it is finished, and the caller keeps them
(see `engines/journal.py`): if the driver is killed, only its workers' in-flight shards are lost.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from crescent.core.errors import UserError
from crescent.core.progress import TOKENS
from crescent.engines import Completion, Engine, Finished, Prompt, Sampling
from crescent.engines.weights import Weights, load_config, load_tokenizer
from crescent.runtime.cluster import Cluster, ClusterSettings, Lost, Tool
from crescent.similarity import EmbedderSettings
from crescent.similarity.embedding import LocalEncoder

log = logging.getLogger(__name__)
TEXTS_IN_A_SHARD = 512
LEAST_SHARD = 128
Rows = tuple[list[int], NDArray[np.float32]]


class EngineBuilder(Protocol):
    """What a worker needs from the `engine` choice: cheap settings that build an engine late."""

    @property
    def preferred_batch(self) -> int: ...

    def build(self, weights: Weights, identity: str) -> Engine: ...


class Workers:
    """Worker processes, started when first needed. A shard contains `shard` completions; None: see `shard_of`."""

    def __init__(self, settings: ClusterSettings, shard: int | None, max_losses: int) -> None:
        self.count, self.shard = settings.workers, shard
        self._settings, self._max_losses = settings, max_losses
        self._cluster: Cluster | None = None

    def shard_of(self, preferred: int) -> int:
        """Completions in a shard for an engine that prefers `preferred`. A shard is drained before the next one begins,
        so a GPU gets as many as keep it busy; a CPU, where a large one would take hours, gets few, because those of a
        lost shard are lost.
        """
        if self.shard is not None:
            return self.shard
        return max(LEAST_SHARD, preferred) if self._settings.gpus_per_worker else LEAST_SHARD

    def each(self, tool: Tool, shards: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        """Yields (index, result) of every shard, in order of completion.

        Raises what the tool raises, and UserError if `max_losses` workers are lost over the same shard.
        """
        if self._cluster is None:
            self._cluster = Cluster(self._settings)
        cluster, waiting, losses = self._cluster, list(range(len(shards)))[::-1], [0] * len(shards)
        call = object()
        while waiting or cluster.busy:
            while waiting and cluster.idle:
                cluster.submit((call, waiting[-1]), tool, shards[waiting[-1]])
                waiting.pop()
            back = cluster.next()
            if back is None or back[0][0] is not call:  # what an interrupted call left in the workers is nobody's
                continue
            (_, index), result = back
            if not isinstance(result, Lost):
                yield index, result
                continue
            losses[index] += 1
            if losses[index] >= self._max_losses:
                raise UserError(
                    f"{losses[index]} workers were lost over the same work ({result.reason}). Give each more memory "
                    "(fewer runtime.workers on a machine, a smaller runtime.shard); the same command then resumes."
                )
            log.warning("a worker was lost (%s); another worker repeats its shard", result.reason)
            waiting.append(index)

    def drop(self, tool: Tool) -> None:
        """Tells every worker to close the tool."""
        if self._cluster is not None:
            self._cluster.tell(tool)

    def close(self) -> None:
        """Ends all processes that were started."""
        if self._cluster is not None:
            self._cluster.close()
            self._cluster = None


class RemoteEngine:
    """See `crescent.engines.Engine`."""

    def __init__(self, workers: Workers, settings: EngineBuilder, weights: Weights, identity: str) -> None:
        self.identity, self._workers, self._weights = identity, workers, weights
        self._preferred = settings.preferred_batch
        build = partial(settings.build, _anywhere(weights), identity)
        self._tool = Tool(f"engine-{identity}", build, _complete, _close)
        asking = replace(self._tool, use=_is_deterministic)  # also loads the model in all workers at once
        self.deterministic = all(result for _, result in workers.each(asking, [None] * workers.count))

    def generate(
        self, prompts: Sequence[Prompt | str], sampling: Sampling, finished: Finished | None = None
    ) -> list[Completion]:
        """See `crescent.engines.Engine.generate`."""
        parts = _parts(len(prompts), self._workers.count, self._workers.shard_of(self._preferred))
        shards = [(list(prompts[part.start : part.stop]), sampling) for part in parts]
        completions: list[Completion | None] = [None] * len(prompts)
        for index, made in self._workers.each(self._tool, shards):
            for place, completion in zip(parts[index], made, strict=True):
                completions[place] = completion
                TOKENS.add(completion.new_tokens)
                if finished is not None:
                    finished(place, completion)
        return [completion for completion in completions if completion is not None]

    def on_workers(self, use: Callable[[Any, Any], Any], shards: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        """Yields (index, `use(engine, shard)`) of every shard, run on the engines of the workers."""
        return self._workers.each(replace(self._tool, use=use), shards)

    @cached_property
    def tokenizer(self) -> Any:
        """The model's tokenizer, loaded in this process."""
        return load_tokenizer(self._weights)

    @cached_property
    def config(self) -> Any:
        """The model's configuration."""
        return load_config(self._weights)

    def close(self) -> None:
        """Unloads the workers' models."""
        self._workers.drop(self._tool)


class RemoteEncoder:
    """See `crescent.similarity.embedding.Encoder`. `settings` must be resolved: workers may have other processors."""

    def __init__(self, workers: Workers, settings: EmbedderSettings) -> None:
        self._workers = workers
        self._tool = Tool("embedder", partial(LocalEncoder, settings), _encode, LocalEncoder.release)

    def batches(self, texts: Sequence[str]) -> Iterator[Rows]:
        """Yields (rows, their vectors), shard by shard."""
        parts = _parts(len(texts), self._workers.count, TEXTS_IN_A_SHARD)
        shards = [list(texts[part.start : part.stop]) for part in parts]
        for index, made in self._workers.each(self._tool, shards):
            for rows, vectors in made:
                yield [parts[index][row] for row in rows], vectors

    def release(self) -> None:
        """Unloads the workers' models."""
        self._workers.drop(self._tool)


def _complete(engine: Engine, shard: tuple[list[Prompt | str], Sampling]) -> list[Completion]:
    return engine.generate(*shard)


def _close(engine: Engine) -> None:
    engine.close()


def _is_deterministic(engine: Engine, _shard: None) -> bool:
    return engine.deterministic


def _encode(encoder: LocalEncoder, texts: list[str]) -> list[Rows]:
    return list(encoder.batches(texts))


def _parts(count: int, workers: int, most: int) -> list[range]:
    """Ranges of `count` items, each of at most `most`, and at least as many ranges as workers if there are enough
    items.
    """
    size = max(1, min(most, -(-count // workers)))
    return [range(start, min(start + size, count)) for start in range(0, count, size)]


def _anywhere(weights: Weights) -> Weights:
    """The same weights with an absolute path, valid in any working directory."""
    return replace(weights, path=str(Path(weights.path).expanduser().absolute())) if weights.is_local else weights
