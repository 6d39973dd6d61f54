"""Settings of `engine: server`; they build the engine late. Importing this module loads no model library."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crescent.core.errors import UserError
from crescent.core.store import make_key, not_in_key
from crescent.engines import Sampling
from crescent.engines.identity import is_date_read, turn_if_here
from crescent.engines.memory import Need
from crescent.engines.model_files import folder_if_here
from crescent.engines.transformers.settings import TransformersSettings
from crescent.engines.weights import Weights, check_template_arguments

if TYPE_CHECKING:
    from crescent.engines.server.engine import ServerEngine

SERVED_VERSION = 2  # version 1 treated every completion that was not cut off as finished, aborted ones included


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Settings of `engine: server`: one or several OpenAI-compatible servers of one model.

    `model` is the served name (None: `model.path`). The servers share the work; which of them answers, and how many
    requests are in flight, changes no key. The servers apply the chat template.
    """

    urls: tuple[str, ...] = not_in_key()
    name: str = "server"
    model: str | None = None
    in_flight: int = not_in_key(default=256)
    samples_per_request: int = not_in_key(default=16)
    patience_seconds: float = not_in_key(default=600.0)
    timeout_seconds: float = not_in_key(default=600.0)

    def __post_init__(self) -> None:
        if not self.urls:
            raise UserError("engine.urls is empty; add at least one, such as [http://localhost:8000/v1]")
        wrong = [url for url in self.urls if not url.startswith(("http://", "https://"))]
        if wrong:
            raise UserError(f"engine.urls: {wrong[0]!r} is not an address such as http://localhost:8000/v1")
        for key in ("in_flight", "samples_per_request", "patience_seconds", "timeout_seconds"):
            if getattr(self, key) <= 0:
                raise UserError(f"engine.{key} is {getattr(self, key)}; it must be above 0")

    @property
    def loads_weights(self) -> bool:
        """True if the engine reads the generating model's weights from this machine."""
        return False

    @property
    def scoring(self) -> TransformersSettings:
        """With eval.engine=auto the weights on disk are scored."""
        return TransformersSettings()

    @property
    def in_process(self) -> TransformersSettings:
        """The engine that computes likelihoods."""
        return TransformersSettings()

    @property
    def preferred_batch(self) -> int:
        """Number of prompts that keeps all requests full: see `LazyEngine`."""
        return self.in_flight * self.samples_per_request

    def why_not(self, sampling: Sampling) -> str | None:
        """The server itself is asked before it is used."""
        return None

    def check_student(self, rank: int) -> None:
        """Raises UserError: a server keeps the weights it was started with."""
        raise UserError(
            "iterations above 1 generate with the trained student, which engine=server cannot load. Choose "
            "engine=transformers or engine=vllm"
        )

    def identity(self, weights: Weights, cache: Path | None) -> str:
        """Based on the served name, because the weights behind it cannot be inspected. Give new weights a new name."""
        about: dict[str, Any] = {"model": self._served(weights), "revision": weights.revision}
        if weights.gguf_file is not None:
            about["gguf_file"] = weights.gguf_file
        end = turn_if_here(weights).unlisted
        if end is not None:  # these answers used to run on to the limit
            about["end_of_turn"] = end
        if is_date_read(weights, folder_if_here(weights)):
            about["date"] = weights.date_string
        if weights.chat_template_kwargs:
            about["chat_template_kwargs"] = weights.chat_template_kwargs
        return make_key("served", SERVED_VERSION, about)

    def check(self, weights: Weights) -> None:
        """Raises UserError for weights that a server cannot use."""
        if weights.template != "chat":
            raise UserError(
                f"engine=server prompts in chat turns, but {weights.name} has model.template={weights.template}. "
                "Choose engine=transformers"
            )
        if weights.adapter is not None:
            raise UserError(
                f"engine=server cannot answer with {weights.name} after training: serve the student under a name of "
                "its own, or choose engine=transformers"
            )
        check_template_arguments(weights)

    def needs(self, weights: Weights) -> Iterator[Need]:
        """No needs on this machine."""
        return iter(())

    def build(self, weights: Weights, identity: str) -> "ServerEngine":
        """Opens no connection yet."""
        from crescent.engines.server.endpoints import Limits
        from crescent.engines.server.engine import ServerEngine

        self.check(weights)
        limits = Limits(self.in_flight, self.samples_per_request, self.patience_seconds, self.timeout_seconds)
        return ServerEngine(self.urls, self._served(weights), identity, limits, weights)

    def _served(self, weights: Weights) -> str:
        return self.model or weights.path
