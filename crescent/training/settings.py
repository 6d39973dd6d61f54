"""Training settings.

In: keyword arguments. Out: checked, frozen settings, or a one-line UserError that names the key and suggests a fix.
Loads neither torch nor a model library.
"""

from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args

from crescent.core.errors import UserError
from crescent.core.seed import MAX_SEED
from crescent.core.store import not_in_key, omit_from_key_at
from crescent.engines.model_files import local_folder, number_count
from crescent.engines.weights import Weights
from crescent.training.batching import GROUPED, Packed, Padded
from crescent.training.checks import is_real, is_whole, require
from crescent.training.kernels import Kernels, check_kernels
from crescent.training.learning_rates import UsualRate, readable, usual_rate, warning
from crescent.training.methods import Full, Lora, QLora
from crescent.training.objective import SFT, Objective
from crescent.training.retention import NONE, Retention
from crescent.training.schedule import SCHEDULES
from crescent.training.team import Strategy, check_team

MAX_DEVICES = 1024  # each one is a process
PRECISIONS = ("auto", "32-true", "bf16-mixed")
_OF_PLATEAU = ("held_out", "stop_every", "patience")  # settings that matter only with stop=plateau
Overlong = Literal["drop", "cut"]
"""What to do with a pair of more than `max_length` tokens: drop and count it, or train on it without its end."""

Stop = Literal["never", "plateau"]
"""When training ends before its last step: never, or once the loss on held-out pairs no longer falls."""

Reasoning = Literal["strip", "keep"]
"""Which part of a thinking model's response is the target: only its answer, or also the thoughts before it."""


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """Settings of one fine-tuning. `batch_size` is sequences per optimiser step, `max_length` tokens of prompt and
    response.

    `micro_batch_tokens` is how many tokens are in memory at once on each device, including padding. Gradients do not
    depend on it, or on `devices`, beyond float noise (with dropout above 0 it also affects the dropout masks).
    `warmup_ratio` is a share of all steps. `learning_rate` "auto" is the usual rate of the method (or the
    objective) for the model's size.

    With `stop` "plateau", the share `held_out` of the pairs is not trained on; the loss on them is measured every
    `stop_every` steps, training ends after `patience` measurements without a new minimum, and the parameters at the
    minimum are the result.
    """

    method: Lora | QLora | Full
    learning_rate: float | Literal["auto"]
    epochs: int
    batch_size: int
    max_length: int
    schedule: str
    warmup_ratio: float
    weight_decay: float
    max_grad_norm: float
    seed: int
    precision: str
    name: str = not_in_key()
    micro_batch_tokens: int = not_in_key()
    checkpoint_every: int = not_in_key()
    overlong: Overlong = omit_from_key_at("cut", default="drop")
    batching: Padded | Packed = omit_from_key_at(GROUPED)
    kernels: Kernels = omit_from_key_at("none")
    reasoning: Reasoning = omit_from_key_at("strip")
    gradient_checkpointing: bool = not_in_key(default=False)
    devices: int = not_in_key(default=1)
    strategy: Strategy = not_in_key(default="ddp")
    stop: Stop = omit_from_key_at("never")
    held_out: float = omit_from_key_at(0.1)
    stop_every: int = omit_from_key_at(10)
    patience: int = omit_from_key_at(3)
    objective: Objective = omit_from_key_at(SFT, internal=True)
    retain: Retention = omit_from_key_at(NONE, internal=True)

    def __post_init__(self) -> None:
        wanted = "a node whose _target_ is a training method, as in conf/train"
        require(isinstance(self.method, Lora | QLora | Full), "method", self.method, wanted)
        whole = ("epochs", "batch_size", "micro_batch_tokens", "checkpoint_every", "devices", "stop_every", "patience")
        for key in whole:
            value = getattr(self, key)
            require(is_whole(value) and value >= 1, key, value, "a whole number from 1")
        require(self.devices <= MAX_DEVICES, "devices", self.devices, f"up to {MAX_DEVICES}")
        require(is_whole(self.max_length) and self.max_length >= 2, "max_length", self.max_length, "2 tokens or more")
        right = is_whole(self.seed) and 0 <= self.seed <= MAX_SEED
        require(right, "seed", self.seed, f"a whole number from 0 to {MAX_SEED}")
        rate, norm = self.learning_rate, self.max_grad_norm
        require(rate == "auto" or _is_positive(rate), "learning_rate", rate, "auto, or above 0, such as 0.0002")
        require(_is_positive(norm), "max_grad_norm", norm, "above 0, such as 1.0")
        ratio, decay = self.warmup_ratio, self.weight_decay
        require(is_real(ratio) and 0 <= ratio <= 1, "warmup_ratio", ratio, "from 0 to 1 (a share of all steps)")
        require(is_real(decay) and 0 <= decay < float("inf"), "weight_decay", decay, "0 or more")
        require(self.schedule in SCHEDULES, "schedule", self.schedule, ", ".join(SCHEDULES))
        require(self.overlong in get_args(Overlong), "overlong", self.overlong, ", ".join(get_args(Overlong)))
        require(self.reasoning in get_args(Reasoning), "reasoning", self.reasoning, ", ".join(get_args(Reasoning)))
        require(self.stop in get_args(Stop), "stop", self.stop, ", ".join(get_args(Stop)))
        held = is_real(self.held_out) and 0 < self.held_out < 1
        require(held, "held_out", self.held_out, "a share of the pairs, above 0 and below 1")
        require(self.precision in PRECISIONS, "precision", self.precision, ", ".join(PRECISIONS))
        if self.needs_reference and isinstance(self.method, Full):
            choice = f"objective={self.objective.name}" if self.objective.contrasts else f"retain={self.retain.name}"
            raise UserError(
                f"{choice} compares the model with itself before training, which is the model without its adapter: use "
                "train=lora or train=qlora instead of train=full"
            )
        if self.devices > 1 and self.strategy == "fsdp":
            wanted = "lora or full with train.strategy=fsdp: 4-bit weights cannot be sharded (use strategy=ddp)"
            require(not isinstance(self.method, QLora), "name", self.name, wanted)

    def check(self) -> None:
        """Raises UserError if this machine cannot train with these settings. Loads torch only if necessary."""
        self.method.check()
        check_kernels(self.kernels)
        check_team(self.devices)

    def resolved(self, weights: Weights) -> "TrainSettings":
        """Resolves `precision` and `learning_rate` for this machine and these weights. Keys need the resolved values
        because they change results."""
        settings = replace(self, learning_rate=self.usual_rate(weights)[0].learning_rate) if self._is_auto else self
        if self.stop == "never":
            settings = replace(settings, **{one.name: one.default for one in fields(self) if one.name in _OF_PLATEAU})
        if self.precision != "auto":
            return settings
        import torch  # imported here so that composing a run stays fast

        fast = torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
        return replace(settings, precision="bf16-mixed" if fast else "32-true")

    def usual_rate(self, weights: Weights) -> tuple[UsualRate, int]:
        """The usual learning rate for these weights, and their number of parameters. Reads the headers of files."""
        parameters = number_count(local_folder(weights))
        return usual_rate(self.objective.usual_rates or self.method.usual_rates, parameters), parameters

    def about_learning_rate(self, weights: Weights) -> str | None:
        """Describes the choice of `auto`, or warns that the chosen rate is far above the usual one; None if neither
        applies."""
        usual, parameters = self.usual_rate(weights)
        if isinstance(self.learning_rate, str):
            return f"learning rate {usual.learning_rate:g} for {readable(parameters)} parameters: {usual.source}"
        return warning(self.learning_rate, usual, parameters)

    @property
    def resolved_rate(self) -> float:
        """The learning rate of resolved settings."""
        assert not isinstance(self.learning_rate, str), "settings are resolved before training"
        return self.learning_rate

    @property
    def sequences(self) -> int:
        """The number of sequences of an example, which are in memory together."""
        return 2 if self.objective.contrasts else 1

    @property
    def needs_reference(self) -> bool:
        """True if each step also runs the model as it was before training."""
        return self.objective.contrasts or self.retain.weight > 0

    @property
    def _is_auto(self) -> bool:
        return self.learning_rate == "auto"


def _is_positive(value: Any) -> bool:
    return is_real(value) and 0 < value < float("inf")
