"""The `engine` choices: cheap settings that build an engine late.

In: a YAML of `conf/engine`. Out: an engine. Importing this loads no model library: a mistake in a configuration is
told at once.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from crescent.engines.weights import Weights, load
from crescent.store import not_in_key

if TYPE_CHECKING:
    from crescent.engines.transformers import TransformersEngine


@dataclass(frozen=True, slots=True)
class TransformersSettings:
    """The `engine: transformers` choice. `max_batch` bounds rows in a batch; neither field changes a result."""

    name: str = "transformers"
    device: str = not_in_key(default="auto")
    max_batch: int = not_in_key(default=256)

    def __post_init__(self) -> None:
        if self.max_batch < 1:
            raise ValueError(f"engine.max_batch is {self.max_batch}; it must be at least 1")
        if self.device not in ("auto", "cpu", "cuda", "mps") and not self.device.startswith("cuda:"):
            raise ValueError(f"engine.device is {self.device!r}; it may be auto, cpu, cuda, cuda:N or mps")

    def build(self, weights: Weights, identity: str) -> "TransformersEngine":
        """Loads the model. This is where memory is taken."""
        from crescent.engines.transformers import TransformersEngine, best_device

        device = best_device() if self.device == "auto" else self.device
        model, tokenizer = load(weights, device)
        return TransformersEngine(model, tokenizer, identity, self.max_batch)
