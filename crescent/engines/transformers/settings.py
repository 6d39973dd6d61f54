"""The `engine: transformers` choice: cheap settings that build the engine late.

Importing this loads no model library.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from crescent.core.errors import UserError
from crescent.core.store import not_in_key
from crescent.engines.device import best_device
from crescent.engines.memory import Need
from crescent.engines.requirements import BATCHES_AHEAD, memory_need
from crescent.engines.weights import Weights, check, identity, load

if TYPE_CHECKING:
    from crescent.engines.transformers.engine import TransformersEngine


@dataclass(frozen=True, slots=True)
class TransformersSettings:
    """The `engine: transformers` choice. `max_batch` bounds rows in a batch; no field changes a result.

    (With `continuous` batching, text depends on the batch: what was drawn first is what all later work shares.)
    """

    name: str = "transformers"
    device: str = not_in_key(default="auto")
    max_batch: int = not_in_key(default=256)
    batching: Literal["auto", "padded", "continuous"] = not_in_key(default="auto")

    def __post_init__(self) -> None:
        if self.max_batch < 1:
            raise UserError(f"engine.max_batch is {self.max_batch}; it must be at least 1")
        if self.batching not in ("auto", "padded", "continuous"):
            raise UserError(f"engine.batching is {self.batching!r}; it may be auto, padded or continuous")
        if re.fullmatch(r"cuda:0*[1-9]\d*", self.device):
            raise UserError(
                f"engine.device is {self.device}; training would still take the first GPU. Choose one for the "
                f"whole run: CUDA_VISIBLE_DEVICES={self.device.removeprefix('cuda:')} crescent ... engine.device=cuda"
            )
        if self.device not in ("auto", "cpu", "cuda", "cuda:0", "mps"):
            raise UserError(f"engine.device is {self.device!r}; it may be auto, cpu, cuda or mps")

    @property
    def loads_weights(self) -> bool:
        """Whether it reads the weights of the model it generates with from this machine."""
        return True

    @property
    def scoring(self) -> "TransformersSettings":
        """The engine that evaluation uses: it needs the model in this process."""
        return self

    @property
    def preferred_batch(self) -> int:
        """Prompts at a time that keep batches full: see `LazyEngine`."""
        return BATCHES_AHEAD * self.max_batch

    def check_student(self, rank: int) -> None:
        """Raises ValueError if it cannot generate with what a run trains (an adapter's rank, 0: a whole model)."""

    def identity(self, weights: Weights, cache: Path | None) -> str:
        """What tells the weights from any other: their content."""
        return identity(weights, cache)

    def check(self, weights: Weights) -> None:
        """Raises ValueError if weights can be seen not to work. Loads nothing."""
        check(weights)

    def needs(self, weights: Weights) -> Iterator[Need]:
        """Memory for the weights and the cache of one row; more rows take what is left."""
        yield memory_need(weights, self.where)

    def build(self, weights: Weights, identity: str) -> "TransformersEngine":
        """Loads the model. This is where memory is taken."""
        from crescent.engines.transformers.engine import TransformersEngine

        model, tokenizer = load(weights, self.where)
        return TransformersEngine(model, tokenizer, identity, self.max_batch, self.batching)

    @property
    def where(self) -> str:
        """The device, by name: `auto` is the best there is."""
        return best_device() if self.device == "auto" else self.device
