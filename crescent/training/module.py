"""The optimiser step: a LightningModule around any causal language model.

In: a model, settings, and one `Batch` per optimiser step. Out: trained weights and a `TrainStep` per step. It reads no
file, and a step depends on the past only through weights and optimiser, so a run can resume at any step.

Optimisation is manual: Lightning's accumulation averages the means of micro-batches, which gives a short response's
tokens more weight than a long one's. Here a step's loss is a sum divided by a size of the whole step (with
objective=sft its number of target tokens), over all micro-batches and all processes. Gradients are summed over
processes once per step, after the last micro-batch, so each process may split its share to fit its memory.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytorch_lightning as pl
import torch

from crescent.core.errors import OutOfMemory, UserError
from crescent.core.records import TrainStep
from crescent.engines.memory import is_out_of_memory
from crescent.training.batch_schedule import Step
from crescent.training.data import Example
from crescent.training.plateau import HELD_OUT_LOSS, best_step, is_measured
from crescent.training.schedule import rate_factor
from crescent.training.settings import TrainSettings
from crescent.training.sharding import shard
from crescent.training.step_loss import Sizes, StepLoss
from crescent.training.team import ALONE, Team, full_tensor, shard_like
from crescent.training.wrapped import without_dropout


class Batch:
    """The examples of one optimiser step. Not a dataclass, because Lightning would traverse all its token ids."""

    __slots__ = ("epoch", "examples", "number")

    def __init__(self, step: Step, examples: Sequence[Example]) -> None:
        self.number, self.epoch, self.examples = step.number, step.epoch, examples


class Batches:
    """The data loader: the planned steps in order."""

    def __init__(self, steps: Sequence[Step], examples: Sequence[Example]) -> None:
        self._steps, self._examples = steps, examples

    def __len__(self) -> int:
        return len(self._steps)

    def __iter__(self) -> Iterator[Batch]:
        for step in self._steps:
            yield Batch(step, [self._examples[row] for row in step.rows])


class TrainingModule(pl.LightningModule):
    """Trains the parameters of `model` that require gradients. `steps` is the number of steps in the whole run, `say`
    prints one line.

    `curve` contains the completed steps. `optimizer_state` is the state from an earlier attempt, or None. `stopping`: a
    process of the team was asked to stop; after each step it is the same in all processes. `held_out`: examples on
    which the loss is measured (`plateau.py`); `best` are the parameters at its minimum, whole and on the CPU, in the
    first process.
    """

    def __init__(
        self, model: Any, settings: TrainSettings, steps: int, pad_id: int, say: Callable[[str], None],
        team: Team = ALONE,
    ) -> None:  # fmt: skip
        super().__init__()
        self.automatic_optimization = False
        self.model = model
        self.curve: list[TrainStep] = []
        self.grad_norm = 0.0
        self.optimizer_state: dict[str, Any] | None = None
        self.micro_batch_tokens = settings.micro_batch_tokens
        self.stopping = False
        self.held_out: Sequence[Example] = ()
        self.best: dict[str, Any] | None = None
        self.layout = settings.batching.layout()
        self._loss = StepLoss(settings.objective, settings.retain.weight, self.layout, pad_id)
        self._settings, self._steps, self._pad_id, self._say, self._team = settings, steps, pad_id, say, team

    def trained_parameters(self) -> dict[str, torch.nn.Parameter]:
        """The trained parameters by name; this process's shards if the model is sharded."""
        return {name: value for name, value in self.model.named_parameters() if value.requires_grad}

    def configure_model(self) -> None:
        """Shards the model if needed. Called by Lightning once the processes are connected."""
        if self._team.shards_weights:
            shard(self.model, self.device_mesh, self._settings.precision)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW; weight decay only on matrices, not on norms and biases."""
        trained = list(self.trained_parameters().values())
        groups = [
            {"params": [value for value in trained if value.ndim >= 2], "weight_decay": self._settings.weight_decay},
            {"params": [value for value in trained if value.ndim < 2], "weight_decay": 0.0},
        ]
        fused = self.device.type in ("cpu", "cuda")
        optimizer = torch.optim.AdamW(
            [group for group in groups if group["params"]], lr=self._settings.resolved_rate, fused=fused
        )
        if self.optimizer_state is not None:
            _load(optimizer, self.optimizer_state)
            self.optimizer_state = None
        return optimizer

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        """One optimiser step. Raises UserError if training diverges, OutOfMemory if a single sequence does not fit."""
        settings, optimizer = self._settings, self.optimizers()
        assert not isinstance(optimizer, list)
        if batch_idx == 0:
            self.layout.check(self.model, batch.examples, self.micro_batch_tokens, settings.retain.weight > 0)
        rate = settings.resolved_rate * rate_factor(
            batch.number - 1, self._steps, settings.warmup_ratio, settings.schedule
        )
        for group in optimizer.param_groups:
            group["lr"] = rate
        loss, *metrics = self._gradients(batch)
        norm = torch.nn.utils.clip_grad_norm_(self.trained_parameters().values(), settings.max_grad_norm)
        self.grad_norm = float(full_tensor(norm))
        if not math.isfinite(self.grad_norm):
            raise UserError(
                f"training diverged at step {batch.number} (gradient norm {self.grad_norm}). Lower "
                f"train.learning_rate, which is {settings.learning_rate}"
            )
        optimizer.step()
        optimizer.zero_grad()
        targets = sum(one.target_tokens for example in batch.examples for one in example.sequences)
        figures = {name: round(value, 6) for name, value in zip(self._loss.names, metrics, strict=True)} or None
        self.curve.append(TrainStep(batch.number, batch.epoch, round(loss, 6), round(rate, 12), targets, figures))
        if self.held_out and is_measured(batch.number, self._steps, settings.stop_every):
            self._measure()

    def _measure(self) -> None:
        """Adds the held-out loss to the last step, and keeps the parameters if it is a new minimum."""
        last, sizes = self.curve[-1], self._loss.sizes(self.held_out)
        with torch.no_grad(), without_dropout(self.model):
            held = self._groups(self.held_out, self._team.share(self.held_out))
            shares = sum((self._shares_of(group, sizes)[0] for group in held), torch.zeros((), device=self.device))
        loss = float(self._team.add_up(shares.double()))
        self.curve[-1] = replace(last, metrics={**(last.metrics or {}), HELD_OUT_LOSS: round(loss, 6)})
        if best_step(self.curve) == self.curve[-1]:
            self.best = self._team.gathered(self.trained_parameters())

    def _gradients(self, batch: Batch) -> list[float]:
        """Computes the step's gradients; returns its loss and metrics. All are summed over the team."""
        shares = self._own_gradients(batch, self._loss.sizes(batch.examples))
        self._team.add_up_gradients(self.trained_parameters().values())
        if self._team.size == 1:
            return shares
        asked = float(self._team.asked.is_set())
        sums = self._team.add_up(torch.tensor([*shares, asked], dtype=torch.float64, device=self.device)).tolist()
        self.stopping = sums.pop() > 0
        return sums

    def _own_gradients(self, batch: Batch, sizes: Sizes) -> list[float]:
        """The same for this process's share; micro-batches are made smaller until they fit in memory."""
        examples = self._team.share(batch.examples)
        while True:
            # dropout depends only on the step and the process
            torch.manual_seed(self._settings.seed * 1_000_003 + batch.number + 1_000_000_007 * self._team.rank)
            try:
                return self._accumulate(self._groups(batch.examples, examples), sizes)
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                tokens = self._smaller(examples, error)
            self._shrink(tokens)  # outside of `except`: the error held the tensors of the failed attempt

    def _groups(self, whole: Sequence[Example], examples: list[Example]) -> list[list[Example]]:
        """The micro-batches of this process, for its share of the `whole`. With sharded weights, every process must
        have the same number."""
        groups = self.layout.groups(examples, self.micro_batch_tokens)
        if self._team.shards_weights:
            shares = [self._team.share(whole, rank) for rank in range(self._team.size)]
            most = max(len(self.layout.groups(share, self.micro_batch_tokens)) for share in shares)
            groups += [[] for _ in range(most - len(groups))]
        return groups

    def _accumulate(self, groups: Sequence[Sequence[Example]], sizes: Sizes) -> list[float]:
        total = torch.zeros(1 + len(self._loss.names), device=self.device)
        # Lightning's wrapper would synchronise after each backward pass, the same number of times in every process
        alone = self.trainer.model.no_sync() if self._team.size > 1 and not self._team.shards_weights else nullcontext()  # type: ignore[union-attr,operator]
        with alone:
            for group in groups:
                shares = self._shares_of(group, sizes)
                self.manual_backward(shares[0] * self._team.size if self._team.shards_weights else shares[0])
                total += shares.detach()
        return total.tolist()

    def _shares_of(self, group: Sequence[Example], sizes: Sizes) -> torch.Tensor:
        if group:
            return self.shares(group, sizes)
        idle = Example("", (self._pad_id, self._pad_id), 1)  # a dummy pass, to keep step with the other processes
        return self.shares([idle], sizes) * 0

    def shares(self, examples: Sequence[Example], sizes: Sizes) -> torch.Tensor:
        """The loss and the metrics of `examples`, as shares of a step of these sizes: see `StepLoss`."""
        return self._loss.share(self.model, examples, sizes, self.device)

    def _smaller(self, examples: Sequence[Example], error: Exception) -> int:
        """Half of what was in memory. Raises OutOfMemory if that was one sequence, or if other processes would wait."""
        largest = max(self.layout.groups(examples, self.micro_batch_tokens), key=_tokens)
        longest = max(example.longest for example in examples)
        if len(largest) == 1:
            what = "one sequence" if largest[0].rejected is None else "one pair of sequences"
            raise OutOfMemory(
                f"out of memory with {what} of {longest} tokens. Lower train.max_length, set "
                "train.gradient_checkpointing=true, or use a smaller model"
            ) from error
        if self._team.shards_weights:
            raise OutOfMemory(
                f"out of memory with {_tokens(largest)} tokens on one device. Lower train.micro_batch_tokens, which is "
                f"{self.micro_batch_tokens}"
            ) from error
        return min(self.micro_batch_tokens, _tokens(largest)) // 2

    def _shrink(self, tokens: int) -> None:
        self.micro_batch_tokens = tokens
        for value in self.trained_parameters().values():
            value.grad = None
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        self._say(f"out of memory: training continues with train.micro_batch_tokens={tokens}; results stay the same")


def _tokens(examples: Sequence[Example]) -> int:
    """Size including padding: never less than what is in memory."""
    rows = sum(len(example.sequences) for example in examples)
    return max((example.longest for example in examples), default=0) * rows


def _load(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Loads a checkpoint's state, whose tensors are whole, into an optimiser whose parameters may be sharded."""
    parameters = [value for group in optimizer.param_groups for value in group["params"]]
    state = {**state, "state": {
        index: {name: shard_like(value, parameters[index]) if value.ndim else value for name, value in entry.items()}
        for index, entry in state["state"].items()
    }}  # fmt: skip
    optimizer.load_state_dict(state)
