"""A minimal interface to a Ray cluster: worker processes, each with one piece of work at a time.

In: the number of processes and the resources of each. Out: results as they arrive, or `Lost` if a process or its
machine is gone; a new process then replaces it. Knows neither engines nor texts. Only this module imports Ray, and only
when a cluster is needed.
"""

import contextlib
import logging
import math
import os
import signal
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from crescent.core.errors import UserError

log = logging.getLogger(__name__)
OBJECT_STORE_BYTES = 128 << 20  # texts and vectors in flight; by default Ray would take a third of the memory
SECONDS_UNTIL_TOLD = 60.0  # time without any result until that is logged
MOST_FAILED_STARTS = 3  # in a row; after that another attempt is assumed to fail too


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """`address` None: a cluster on this machine, started for this run."""

    address: str | None
    workers: int
    cpus_per_worker: float
    gpus_per_worker: float


@dataclass(frozen=True, slots=True)
class Tool:
    """What a worker builds once, under a name, and then uses for shards of work."""

    name: str
    build: Callable[[], Any]
    use: Callable[[Any, Any], Any]  # (what was built, shard) -> result
    close: Callable[[Any], None]


@dataclass(frozen=True, slots=True)
class Lost:
    """A lost worker, with the reason if Ray knows it."""

    reason: str


class Worker:
    """Runs in its own process: builds tools once, and uses them."""

    def __init__(self) -> None:
        self._built: dict[str, Any] = {}
        self._heard = _Heard()
        logging.getLogger("crescent").addHandler(self._heard)

    def ready(self) -> None:
        """Returns once the cluster has started this process."""

    def use(self, tool: Tool, shard: Any) -> tuple[Any, list[str]]:
        """The result, and the warnings logged meanwhile."""
        if tool.name not in self._built:
            self._built[tool.name] = tool.build()
        result = tool.use(self._built[tool.name], shard)
        return result, self._heard.taken()

    def drop(self, tool: Tool) -> None:
        """Closes the tool of this name if it was built."""
        built = self._built.pop(tool.name, None)
        if built is not None:
            tool.close(built)


class Cluster:
    """Connects to a cluster, or starts one on this machine, and keeps `workers` processes. `close` ends them.

    A process gets work only once it has started: if a joined cluster has room for fewer, those do all the work.
    """

    def __init__(self, settings: ClusterSettings) -> None:
        self._settings = settings
        self._ray = _connect(settings)
        self._check_room()
        self.idle: deque[Any] = deque()
        self.busy: dict[Any, tuple[Any, Any]] = {}
        self._starting: dict[Any, Any] = {}
        self._failed_starts = 0
        self._all: list[Any] = []
        for _ in range(settings.workers):
            self._start()

    def submit(self, index: Any, tool: Tool, shard: Any) -> None:
        """Gives an idle worker a shard, identified by `index`, anything."""
        worker = self.idle.popleft()
        self.busy[worker.use.remote(tool, shard)] = worker, index

    def next(self) -> tuple[Any, Any] | None:
        """(index, result) of the next finished shard, or (index, Lost); None if a worker has become idle instead.
        Raises what the tool raised, and UserError if workers cannot start or cannot read their work.
        """
        errors, told = self._ray.exceptions, False
        while True:
            ready, _ = self._ray.wait([*self.busy, *self._starting], num_returns=1, timeout=SECONDS_UNTIL_TOLD)
            if ready:
                break
            if not told:
                what = "finished anything" if self.busy else "found room in the cluster"
                log.info("no worker has %s for %.0f s; waiting", what, SECONDS_UNTIL_TOLD)
                told = True
        if ready[0] in self._starting:
            self._welcome(ready[0])
            return None
        worker, index = self.busy.pop(ready[0])
        try:
            result, warnings = self._ray.get(ready[0])
        except errors.RayTaskError as error:
            self.idle.append(worker)
            if isinstance(error.cause, errors.RaySystemError):
                raise UserError(
                    f"a worker cannot read its work ({_reason(error.cause)}). Every node of the cluster needs the same "
                    "versions of Python, Crescent and its packages"
                ) from None
            raise (error.cause if isinstance(error.cause, Exception) else error) from None
        except errors.RayError as error:
            self._replace(worker)
            return index, Lost(_reason(error))
        for warning in warnings:
            log.warning("%s", warning)
        self.idle.append(worker)
        return index, result

    def tell(self, tool: Tool) -> None:
        """Tells every worker to close a tool. Workers that are lost or not started yet have none."""
        there = [worker for worker in self._all if worker not in self._starting.values()]
        with contextlib.suppress(self._ray.exceptions.RayError):
            self._ray.get([worker.drop.remote(tool) for worker in there])

    def close(self) -> None:
        """Ends the workers, and the cluster if it was started here."""
        for worker in self._all:
            self._ray.kill(worker)
        self._ray.shutdown()

    def _start(self) -> None:
        settings = self._settings
        worker = (
            self._ray.remote(Worker)
            .options(num_cpus=settings.cpus_per_worker, num_gpus=settings.gpus_per_worker, max_restarts=0)
            .remote()
        )
        self._all.append(worker)
        self._starting[worker.ready.remote()] = worker

    def _welcome(self, reference: Any) -> None:
        """Adds a started worker to the idle ones. One that failed to start is replaced, but only a few times in a
        row.
        """
        worker = self._starting.pop(reference)
        try:
            self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            self._failed_starts += 1
            if self._failed_starts >= MOST_FAILED_STARTS:
                raise UserError(
                    f"workers cannot start ({_reason(error)}). Every node of the cluster needs the same versions of "
                    "Python, Crescent and its packages"
                ) from None
            self._replace(worker)
            return
        self._failed_starts = 0
        self.idle.append(worker)

    def _replace(self, worker: Any) -> None:
        self._ray.kill(worker)
        self._all.remove(worker)
        self._start()

    def _check_room(self) -> None:
        """Raises UserError if this machine has no room for all workers, because some would wait for ever; a joined
        cluster may grow, so there it only logs a warning.
        """
        settings, there = self._settings, self._ray.cluster_resources()
        if there.get("GPU") and not settings.gpus_per_worker:
            log.warning(
                "the cluster has %g GPUs, and its workers take none: they generate on CPUs. Give each one with "
                "runtime.gpus_per_worker=1", there["GPU"],
            )  # fmt: skip
        needs = {"CPU": settings.cpus_per_worker, "GPU": settings.gpus_per_worker}
        rooms = (int(there.get(kind, 0) / need + 1e-6) for kind, need in needs.items() if need)
        room = min(rooms, default=settings.workers)
        if room >= settings.workers:
            return
        has = ", ".join(f"{there.get(kind, 0):g} {kind}s" for kind in needs)
        if settings.address is None:
            self._ray.shutdown()
            raise UserError(
                f"this machine has room for {room} of runtime.workers={settings.workers}: it has {has}. Lower "
                "runtime.workers, runtime.gpus_per_worker or runtime.cpus_per_worker, or join a cluster with "
                "runtime.address"
            )
        log.warning("the cluster (%s) has room for %d of runtime.workers=%d now", has, room, settings.workers)


def _connect(settings: ClusterSettings) -> Any:
    """Ray, connected and quiet. Raises UserError if no cluster answers."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # Ray's future default; without it Ray warns
    import ray

    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}
    if settings.address is None:
        processors = max(os.cpu_count() or 1, math.ceil(settings.workers * settings.cpus_per_worker))
        options |= {
            "address": "local",
            "num_cpus": processors,
            "include_dashboard": False,
            "object_store_memory": OBJECT_STORE_BYTES,
        }
    else:
        options["address"] = settings.address
    try:
        _knock(settings.address)
        with _own_signals():
            ray.init(**options)
    except (OSError, RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"runtime.address={settings.address}: no Ray cluster can be reached there ({reason}). Start one with "
            "`ray start --head`, or leave runtime.address out for a cluster of this machine"
        ) from error
    _silence(ray)
    return ray


def _knock(address: str | None) -> None:
    """Raises OSError at once if nothing listens at the address: Ray would try for minutes."""
    if address is not None and ":" in address:
        host, _, port = address.partition(":")
        socket.create_connection((host, int(port)), timeout=10).close()


def _silence(ray: Any) -> None:
    """Suppresses the page that Ray prints on stdout for each dead worker; no option turns it off, and we log a line."""
    if hasattr(ray._private.worker, "print_to_stdstream"):
        ray._private.worker.print_to_stdstream = lambda *arguments, **options: None


@contextmanager
def _own_signals() -> Iterator[None]:
    """Restores our SIGTERM handler after Ray has replaced it."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


class _Heard(logging.Handler):
    """Collects warnings in a worker, for the driver to log."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self._said.append(record.getMessage())

    def taken(self) -> list[str]:
        """The warnings since the last call."""
        said, self._said = self._said, []
        return said


def _reason(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".")[:200] if lines else type(error).__name__
