"""A whole training run under Lightning: progress, checkpoints, signals, suppressed output.

In: a model whose trainable parameters require gradients, examples, settings, a scratch folder. Out: the model trained
in place, and its curve. A second call with the same folder resumes where the first was killed, and on a CPU gives the
same bytes.
"""

import logging
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.utilities.warnings import PossibleUserWarning
from pytorch_lightning.utilities.exceptions import SIGTERMException

from crescent.core.console import Console
from crescent.core.errors import OutOfMemory
from crescent.core.progress import Tally
from crescent.core.records import TrainStep
from crescent.core.signals import Stopped, between_steps
from crescent.engines.memory import is_out_of_memory
from crescent.training import checkpoint
from crescent.training.batch_schedule import plan_steps
from crescent.training.data import Example
from crescent.training.kernels import apply_kernels
from crescent.training.methods import autocast_adapters
from crescent.training.module import Batch, Batches, TrainingModule
from crescent.training.plateau import best_step, held_out_loss, hold_out, is_plateau
from crescent.training.settings import TrainSettings
from crescent.training.team import ALONE, Team
from crescent.training.wrapped import base_of

Curve = Callable[[Mapping[str, float], int], None]
"""Called with the metrics of a step and its number."""


def train(
    model: Any,
    examples: Sequence[Example],
    pad_id: int,
    settings: TrainSettings,
    folder: Path,
    console: Console,
    curve: Curve | None = None,
    team: Team = ALONE,
    say: Callable[[str], None] | None = None,
) -> list[TrainStep]:
    """Trains `model` in place, as one process of `team`, on its device. `say` receives lines instead of the console.

    Raises ValueError or MemoryError with a suggested fix; signals end the run.
    """
    say = say or console.say
    held_out: Sequence[Example] = ()
    if settings.stop == "plateau":
        examples, held_out = hold_out(examples, settings.held_out, settings.seed)
    lengths = [example.tokens for example in examples]
    steps = plan_steps(lengths, settings.batch_size, settings.epochs, settings.seed, settings.batching.pool_batches)
    module = TrainingModule(model, settings, len(steps), pad_id, say, team)
    module.held_out = held_out
    fault = checkpoint.restore(folder, module)
    if fault is not None:
        say(f"the checkpoint of an earlier attempt is not used: {fault}. Training restarts.")
    done = len(module.curve)
    if done:
        say(f"training resumes after step {done} of {len(steps)}")
    replay(module.curve, curve)
    if done == len(steps) or is_plateau(module.curve, settings.patience):
        checkpoint.keep_best(module)
        return module.curve
    apply_kernels(settings.kernels, model)
    with console.progress("finetune", len(steps) - done, "steps") as tally, _quiet(), team.forked_rng():
        watch = Watch(tally, curve, folder, settings, len(steps), team)
        layout, lean = module.layout.prepare(model), _checkpointing(model, settings.gradient_checkpointing)
        with _honest_signals(), layout, lean, autocast_adapters(model, settings.precision):
            _fit(_trainer(settings, folder, watch, team), module, Batches(steps[done:], examples))
        if module.curve[-1].step < len(steps):
            tally.settle(f"{len(steps) - module.curve[-1].step} steps were not needed")
    if team.size == 1:
        checkpoint.keep_best(module)
    _say_best(module, len(steps), say)
    return module.curve


def _say_best(module: TrainingModule, steps: int, say: Callable[[str], None]) -> None:
    if (best := best_step(module.curve)) is not None:
        say(
            f"held-out loss lowest after step {best.step} of {steps} ({held_out_loss(best):.4f}): these parameters are "
            f"kept; training ended after step {module.curve[-1].step}"
        )


def _fit(trainer: pl.Trainer, module: TrainingModule, batches: Batches) -> None:
    """Runs the trainer. A step whose sequences do not fit raises its own error; an OOM here is due to weights,
    gradients or optimiser."""
    try:
        trainer.fit(module, batches)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        raise OutOfMemory(
            "out of memory for the weights, gradients and optimiser. Use train=lora or train=qlora, "
            "train.strategy=fsdp on more devices, or a smaller model"
        ) from error


def replay(steps: Sequence[TrainStep], curve: Curve | None) -> None:
    """Reports steps of an earlier run, without measurements that were not kept."""
    for step in steps if curve is not None else ():
        assert curve is not None
        curve(_metrics(step), step.step)


class Watch(pl.Callback):
    """After each step: updates the progress bar and the curve, and regularly saves a checkpoint."""

    def __init__(
        self, tally: Tally, curve: Curve | None, folder: Path, settings: TrainSettings, steps: int, team: Team = ALONE
    ) -> None:
        self._tally, self._curve, self._folder, self._settings, self._steps = tally, curve, folder, settings, steps
        self._team = team
        self._last = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Starts the clock at the first batch, not when the model is loaded."""
        self._last = time.monotonic()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """Reports the completed step."""
        assert isinstance(pl_module, TrainingModule)
        step = pl_module.curve[-1]
        now = time.monotonic()
        if self._curve is not None:
            rate = step.target_tokens / max(now - self._last, 1e-9)
            metrics = {"grad_norm": pl_module.grad_norm, "target_tokens_per_second": rate}
            self._curve({**_metrics(step), **metrics}, step.step)
        self._tally.advance(1, note=f"loss {step.loss:.3f}")
        last = step.step == self._steps or is_plateau(pl_module.curve, self._settings.patience)
        # the last checkpoint carries a team's result out of its processes, and a run interrupted now resumes from it
        if step.step % self._settings.checkpoint_every == 0 or last or pl_module.stopping:
            checkpoint.save(self._folder, pl_module, self._team)
        trainer.should_stop = last
        if pl_module.stopping and not last:
            raise Stopped
        self._last = time.monotonic()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """On SIGTERM Lightning stops between two steps: keeps what is done by then."""
        if isinstance(exception, SIGTERMException) and isinstance(pl_module, TrainingModule) and pl_module.curve:
            checkpoint.save(self._folder, pl_module)


def _metrics(step: TrainStep) -> dict[str, float]:
    return {"loss": step.loss, "learning_rate": step.learning_rate, "epoch": step.epoch, **(step.metrics or {})}


def _trainer(settings: TrainSettings, folder: Path, watch: Watch, team: Team) -> pl.Trainer:
    return pl.Trainer(
        accelerator="auto",
        devices=team.size,
        strategy=team.lightning(),
        precision=settings.precision,  # pyright: ignore[reportArgumentType] - validated before
        max_epochs=1,  # all epochs are planned as one, so a run can resume at any step
        callbacks=[watch],
        plugins=[LightningEnvironment()],  # otherwise, under Slurm, Lightning takes over requeueing and its signals
        default_root_dir=folder,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
    )


@contextmanager
def _checkpointing(model: Any, wanted: bool) -> Iterator[None]:
    """Layers discard their activations and recompute them in the backward pass: less memory, about 1/3 more time."""
    if not wanted:
        yield
        return
    base = base_of(model)
    with warnings.catch_warnings():
        # transformers 5.23 renamed these; earlier releases have only the old names
        warnings.filterwarnings("ignore", r"`gradient_checkpointing_\w+` is deprecated", FutureWarning)
        base.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        try:
            yield
        finally:
            base.gradient_checkpointing_disable()


@contextmanager
def _honest_signals() -> Iterator[None]:
    """Keeps Ctrl-C a KeyboardInterrupt and SIGTERM an exit status: Lightning turns them into status 1 and success."""
    try:
        with between_steps():
            try:
                yield
            except SIGTERMException as ended:
                raise Stopped from ended
    except SystemExit as ended:
        if isinstance(ended.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from ended
        raise


@contextmanager
def _quiet() -> Iterator[None]:
    """Silences Lightning: visible devices, tips, suggested numbers of loader workers."""
    loggers = [logging.getLogger(name) for name in ("pytorch_lightning", "lightning_fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PossibleUserWarning)
            # Lightning 2.6 uses the old name in torch 2.13: nothing that a user can fix
            warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)` is deprecated", FutureWarning)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
