"""The `engine: server` choice: cheap settings that build the engine late.

Importing this loads no model library.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crescent.core.errors import UserError
from crescent.core.store import make_key, not_in_key
from crescent.engines.memory import Need
from crescent.engines.transformers.settings import TransformersSettings
from crescent.engines.weights import Weights, check_template_arguments, folder_if_here, is_date_read, turn_if_here

if TYPE_CHECKING:
    from crescent.engines.server.engine import ServerEngine

SERVED_VERSION = 2  # 1 took every completion that was not cut off for one that had ended, aborted ones included


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """The `engine: server` choice: one or several OpenAI-compatible servers of one model.

    `model` is the name it is served under (None: `model.path`). The servers share the work; which of them answers, and
    how many requests are in flight, changes no key. The servers put the chat template on.
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
            raise UserError("engine.urls is empty; give at least one, such as [http://localhost:8000/v1]")
        wrong = [url for url in self.urls if not url.startswith(("http://", "https://"))]
        if wrong:
            raise UserError(f"engine.urls: {wrong[0]!r} is no address, such as http://localhost:8000/v1")
        for key in ("in_flight", "samples_per_request", "patience_seconds", "timeout_seconds"):
            if getattr(self, key) <= 0:
                raise UserError(f"engine.{key} is {getattr(self, key)}; it must be above 0")

    @property
    def loads_weights(self) -> bool:
        """Whether it reads the weights of the model it generates with from this machine."""
        return False

    @property
    def scoring(self) -> TransformersSettings:
        """Evaluation scores weights on disk."""
        return TransformersSettings()

    @property
    def preferred_batch(self) -> int:
        """Prompts at a time that keep all requests full: see `LazyEngine`."""
        return self.in_flight * self.samples_per_request

    def check_student(self, rank: int) -> None:
        """Raises ValueError: a server has the weights it was started with."""
        raise UserError(
            "iterations above 1 ask the student that the run has trained; engine=server cannot load it: choose "
            "engine=transformers or engine=vllm"
        )

    def identity(self, weights: Weights, cache: Path | None) -> str:
        """The served name: what is behind it cannot be looked at. Give new weights a new name."""
        about: dict[str, Any] = {"model": self._served(weights), "revision": weights.revision}
        if weights.gguf_file is not None:
            about["gguf_file"] = weights.gguf_file
        end = turn_if_here(weights).unlisted
        if end is not None:  # its answers end where they once ran on to the limit
            about["end_of_turn"] = end
        if is_date_read(weights, folder_if_here(weights)):
            about["date"] = weights.date_string
        if weights.chat_template_kwargs:
            about["chat_template_kwargs"] = weights.chat_template_kwargs
        return make_key("served", SERVED_VERSION, about)

    def check(self, weights: Weights) -> None:
        """Raises ValueError for weights that a server cannot be given."""
        if weights.template != "chat":
            raise UserError(
                f"engine=server asks in chat turns; {weights.name} has model.template={weights.template}: choose "
                "engine=transformers"
            )
        if weights.adapter is not None:
            raise UserError(
                f"engine=server cannot answer with {weights.name} after training: serve the student under a name of "
                "its own, or choose engine=transformers"
            )
        check_template_arguments(weights)

    def needs(self, weights: Weights) -> Iterator[Need]:
        """Nothing here."""
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
