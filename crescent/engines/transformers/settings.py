"""Settings of `engine: transformers`; they build the engine late. Importing this module loads no model library."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from crescent.core.errors import UserError
from crescent.core.store import not_in_key
from crescent.engines import Sampling
from crescent.engines.device import best_device
from crescent.engines.identity import identity
from crescent.engines.memory import Need
from crescent.engines.requirements import BATCHES_AHEAD, memory_need
from crescent.engines.weights import Weights, check, load

if TYPE_CHECKING:
    from crescent.engines.transformers.engine import TransformersEngine


@dataclass(frozen=True, slots=True)
class TransformersSettings:
    """Settings of `engine: transformers`. `max_batch` limits the rows in a batch; no field changes a result.

    (With `continuous` batching, text depends on the batch: all later work shares what was drawn first.)
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
        """True if the engine reads the generating model's weights from this machine."""
        return True

    @property
    def scoring(self) -> "TransformersSettings":
        """The engine that scores with eval.engine=auto."""
        return self

    @property
    def in_process(self) -> "TransformersSettings":
        """The engine that computes likelihoods."""
        return self

    @property
    def preferred_batch(self) -> int:
        """Number of prompts that keeps batches full: see `LazyEngine`."""
        return BATCHES_AHEAD * self.max_batch

    def why_not(self, sampling: Sampling) -> str | None:
        """Continuous batching of transformers ignores the penalty."""
        if self.batching != "continuous" or sampling.repetition_penalty == 1:
            return None
        return (
            f"repetition_penalty is {sampling.repetition_penalty}, which engine.batching=continuous cannot apply: "
            "choose padded or auto, or a penalty of 1"
        )

    def check_student(self, rank: int) -> None:
        """Raises UserError if the engine cannot generate with the trained model (`rank` of its adapter; 0: full
        fine-tuning)."""

    def identity(self, weights: Weights, cache: Path | None) -> str:
        """Hash of the weights' content."""
        return identity(weights, cache)

    def check(self, weights: Weights) -> None:
        """Raises UserError if the weights cannot work. Loads nothing."""
        check(weights)

    def needs(self, weights: Weights) -> Iterator[Need]:
        """Memory for the weights and the cache of one row; more rows use what is left."""
        yield memory_need(weights, self.where)

    def build(self, weights: Weights, identity: str) -> "TransformersEngine":
        """Loads the model, which allocates its memory."""
        from crescent.engines.transformers.engine import TransformersEngine

        model, tokenizer = load(weights, self.where)
        return TransformersEngine(model, tokenizer, identity, self.max_batch, self.batching)

    @property
    def where(self) -> str:
        """The device by name; `auto` is resolved to the best one available."""
        return best_device() if self.device == "auto" else self.device
