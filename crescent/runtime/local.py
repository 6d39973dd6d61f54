"""Where generation, scoring and embedding run: in this process, or in the workers of a Ray cluster.

In: the `runtime` choice. Out: a `Backend` that builds engines (those that score, too) and embedders. Their results do
not depend on the backend, nor do keys. Training is no matter of the backend. Ray is imported when the first worker is
needed: `runtime=local` needs no Ray.
"""

import importlib.util
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from crescent.config.typed import ConfigError
from crescent.core.errors import UserError
from crescent.engines import Engine
from crescent.engines.weights import Weights
from crescent.runtime.cluster import ClusterSettings
from crescent.runtime.workers import EngineBuilder, RemoteEncoder, RemoteEngine, Workers
from crescent.similarity import Embedder, EmbedderSettings

SHARDS_AHEAD = 4  # per worker: few workers are idle while the last shards of a batch finish


class Backend(Protocol):
    """A running backend."""

    def preferred_batch(self, engine: int) -> int:
        """The number of prompts that keeps all engines busy, if one prefers `engine`: see `LazyEngine`."""
        ...

    def engine(self, settings: EngineBuilder, weights: Weights, identity: str) -> Engine: ...

    def embedder(self, settings: EmbedderSettings, folder: Path) -> Embedder: ...


class LocalBackend:
    """Runs everything in this process."""

    def preferred_batch(self, engine: int) -> int:
        """That of the one engine."""
        return engine

    def engine(self, settings: EngineBuilder, weights: Weights, identity: str) -> Engine:
        """Builds the engine in this process."""
        return settings.build(weights, identity)

    def embedder(self, settings: EmbedderSettings, folder: Path) -> Embedder:
        """Builds the embedder in this process."""
        return settings.build(folder)


class Runtime(Protocol):
    """The `runtime` choice: where engines and embedders run."""

    @property
    def name(self) -> str: ...

    def check(self) -> None: ...

    def start(self) -> AbstractContextManager[Backend]: ...


@dataclass(frozen=True, slots=True)
class LocalRuntime:
    """The `runtime: local` choice."""

    name: str = "local"

    def check(self) -> None:
        """A no-op: nothing is needed."""

    @contextmanager
    def start(self) -> Iterator[Backend]:
        """Yields the backend of this process."""
        yield LocalBackend()


@dataclass(frozen=True, slots=True)
class RayRuntime:
    """The `runtime: ray` choice. See conf/runtime/ray.yaml for its fields."""

    name: str = "ray"
    address: str | None = None
    workers: int = 2
    cpus_per_worker: float = 1
    gpus_per_worker: float = 0
    shard: int | None = None
    max_losses: int = 3

    def __post_init__(self) -> None:
        for key in ("workers", "shard", "max_losses"):
            if getattr(self, key) is not None and getattr(self, key) < 1:
                raise UserError(f"runtime.{key} is {getattr(self, key)}; it must be at least 1")
        for key in ("cpus_per_worker", "gpus_per_worker"):
            if getattr(self, key) < 0:
                raise UserError(f"runtime.{key} is {getattr(self, key)}; it must be 0 or more")

        if self.address is not None and not re.fullmatch(r"auto|[^/:]+:\d+", self.address):
            raise UserError(f"runtime.address is {self.address!r}; it may be null, auto or HOST:PORT, as in node1:6379")

    def check(self) -> None:
        """Raises ConfigError if Ray is not installed."""
        if importlib.util.find_spec("ray") is None:
            raise ConfigError("runtime=ray needs Ray: pip install 'crescent-lm[ray]', or choose runtime=local")

    @contextmanager
    def start(self) -> Iterator[Backend]:
        """Yields a backend whose cluster starts on first use and whose workers end with the block."""
        settings = ClusterSettings(self.address, self.workers, self.cpus_per_worker, self.gpus_per_worker)
        workers = Workers(settings, self.shard, self.max_losses)
        try:
            yield RayBackend(workers)
        finally:
            workers.close()


class RayBackend:
    """Runs engines and embedders in the workers of a cluster."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers

    def preferred_batch(self, engine: int) -> int:
        """Several shards for each worker; no fewer than one engine's."""
        return max(engine, self._workers.count * self._workers.shard_of(engine) * SHARDS_AHEAD)

    def engine(self, settings: EngineBuilder, weights: Weights, identity: str) -> Engine:
        """An engine that distributes prompts over the workers."""
        return RemoteEngine(self._workers, settings, weights, identity)

    def embedder(self, settings: EmbedderSettings, folder: Path) -> Embedder:
        """An embedder that distributes new texts over the workers."""
        return settings.build(folder, RemoteEncoder(self._workers, settings.resolved()))
