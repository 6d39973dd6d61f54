"""The optimiser step: a LightningModule around any causal language model.

In: a model, settings, and one `Batch` for each optimiser step. Out: trained weights and a `TrainStep` for each step. It
reads no file, and nothing in it depends on what happened before a step but weights and optimiser, so that a run can go
on from any step.

Optimisation is manual: Lightning's accumulation averages the means of micro-batches, which weighs a short response's
tokens more than a long one's. Here the loss is the sum over target tokens divided by their number in the whole step.
"""

import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytorch_lightning as pl
import torch
from torch.nn.functional import cross_entropy

from crescent.records import TrainStep
from crescent.training.data import IGNORED, Example, collate
from crescent.training.plan import Step
from crescent.training.schedule import rate_factor
from crescent.training.settings import TrainSettings


class Batch:
    """The examples of one optimiser step. Not a dataclass: Lightning would walk through each of its token ids."""

    __slots__ = ("epoch", "examples", "number")

    def __init__(self, step: Step, examples: Sequence[Example]) -> None:
        self.number, self.epoch, self.examples = step.number, step.epoch, examples


class Batches:
    """The loader: the planned steps in order."""

    def __init__(self, steps: Sequence[Step], examples: Sequence[Example]) -> None:
        self._steps, self._examples = steps, examples

    def __len__(self) -> int:
        return len(self._steps)

    def __iter__(self) -> Iterator[Batch]:
        for step in self._steps:
            yield Batch(step, [self._examples[row] for row in step.rows])


class TrainingModule(pl.LightningModule):
    """Trains what of `model` asks for gradients. `steps` is their number in the whole run, `say` prints one line.

    `curve` holds the steps done. `optimizer_state` is what an earlier attempt left, or None.
    """

    def __init__(
        self, model: Any, settings: TrainSettings, steps: int, pad_id: int, say: Callable[[str], None]
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.model = model
        self.curve: list[TrainStep] = []
        self.grad_norm = 0.0
        self.optimizer_state: dict[str, Any] | None = None
        self.micro_batch_size = settings.micro_batch_size
        self._settings, self._steps, self._pad_id, self._say = settings, steps, pad_id, say
        base = model.get_base_model() if hasattr(model, "get_base_model") else model
        self._trims_logits = "logits_to_keep" in inspect.signature(base.forward).parameters

    def trained_parameters(self) -> dict[str, torch.nn.Parameter]:
        """What is trained, by name."""
        return {name: value for name, value in self.model.named_parameters() if value.requires_grad}

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW; weight decay on matrices only, not on norms and biases."""
        trained = list(self.trained_parameters().values())
        groups = [
            {"params": [value for value in trained if value.ndim >= 2], "weight_decay": self._settings.weight_decay},
            {"params": [value for value in trained if value.ndim < 2], "weight_decay": 0.0},
        ]
        fused = self.device.type in ("cpu", "cuda")
        optimizer = torch.optim.AdamW(
            [group for group in groups if group["params"]], lr=self._settings.learning_rate, fused=fused
        )
        if self.optimizer_state is not None:
            optimizer.load_state_dict(self.optimizer_state)
            self.optimizer_state = None
        return optimizer

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        """One optimiser step. Raises ValueError where training diverges, MemoryError where one sequence is too much."""
        settings, optimizer = self._settings, self.optimizers()
        assert not isinstance(optimizer, list)
        rate = settings.learning_rate * rate_factor(
            batch.number - 1, self._steps, settings.warmup_ratio, settings.schedule
        )
        for group in optimizer.param_groups:
            group["lr"] = rate
        loss = self._gradients(batch)
        norm = torch.nn.utils.clip_grad_norm_(self.trained_parameters().values(), settings.max_grad_norm)
        self.grad_norm = float(norm)
        if not math.isfinite(self.grad_norm):
            raise ValueError(
                f"training diverged at step {batch.number} (gradient norm {self.grad_norm}): lower "
                f"train.learning_rate, which is {settings.learning_rate}"
            )
        optimizer.step()
        optimizer.zero_grad()
        targets = sum(example.target_tokens for example in batch.examples)
        self.curve.append(TrainStep(batch.number, batch.epoch, round(loss, 6), round(rate, 12), targets))

    def _gradients(self, batch: Batch) -> float:
        """The step's gradients and its loss, with micro-batches made smaller until they fit in memory."""
        while True:
            torch.manual_seed(self._settings.seed * 1_000_003 + batch.number)  # dropout depends on the step alone
            try:
                return self._accumulate(batch.examples)
            except (MemoryError, RuntimeError) as error:
                if not _is_out_of_memory(error):
                    raise
                size = min(self.micro_batch_size, len(batch.examples))
                if size == 1:
                    longest = max(len(example.ids) for example in batch.examples)
                    raise MemoryError(
                        f"out of memory with one sequence of {longest} tokens: lower train.max_length, or take a "
                        "smaller model"
                    ) from error
            self._shrink(size // 2)  # outside of `except`: the error held the tensors of the failed attempt

    def _accumulate(self, examples: Sequence[Example]) -> float:
        targets = sum(example.target_tokens for example in examples)
        total = torch.zeros((), device=self.device)
        for start in range(0, len(examples), self.micro_batch_size):
            loss = self.summed_loss(examples[start : start + self.micro_batch_size]) / targets
            self.manual_backward(loss)
            total += loss.detach()
        return float(total)

    def summed_loss(self, examples: Sequence[Example]) -> torch.Tensor:
        """Nats, summed over the target tokens of `examples`; a scalar."""
        ids, labels = collate(examples, self._pad_id, self.device)
        first = min(example.prompt_tokens for example in examples)  # no logits are needed before the token that
        assert first > 0, "a chat template renders a prompt of at least one token"  # predicts the first target
        if self._trims_logits:
            logits = self.model(input_ids=ids, use_cache=False, logits_to_keep=ids.shape[1] - first + 1).logits
        else:
            logits = self.model(input_ids=ids, use_cache=False).logits[:, first - 1 :]
        return cross_entropy(
            logits[:, :-1].flatten(0, 1).float(), labels[:, first:].flatten(), ignore_index=IGNORED, reduction="sum"
        )

    def _shrink(self, size: int) -> None:
        self.micro_batch_size = size
        for value in self.trained_parameters().values():
            value.grad = None
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        self._say(f"out of memory: training goes on with train.micro_batch_size={size}; results stay the same")


def _is_out_of_memory(error: Exception) -> bool:
    # The CPU's allocator raises a plain RuntimeError: "DefaultCPUAllocator: can't allocate memory: you tried ..."
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)
