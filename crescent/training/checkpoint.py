"""Checkpoints for resuming a killed run: one file with the trained parameters, the optimiser, the curve so
far, and with train.stop=plateau the best parameters so far.

In: a `TrainingModule` between two steps. Out: the file, or the module restored from it. Frozen weights are not saved:
they are loaded as for a new run. Nothing else is needed, because the learning rate is a function of the step, dropout
is seeded by it, and the batches are planned. Tensors are saved whole, however many processes trained: a run killed on
four devices can resume on two. They are gathered one by one in the main memory of the first process, and read from the
file as needed, so a GPU never holds more than one whole tensor.
"""

import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from crescent.core.records import TrainStep, decode
from crescent.training.module import TrainingModule
from crescent.training.team import ALONE, Team

FILE = "checkpoint.pt"


def save(folder: Path, module: TrainingModule, team: Team = ALONE) -> None:
    """Replaces the checkpoint in `folder` atomically. All processes of a team must call it."""
    optimizer: Any = module.optimizers()
    assert not isinstance(optimizer, list)
    found = optimizer.state_dict()
    entries = {
        index: {name: _gathered(value, team) for name, value in entry.items()}
        for index, entry in found["state"].items()
    }
    state = {
        "trained": {name: _gathered(value, team) for name, value in module.trained_parameters().items()},
        "optimizer": {**found, "state": entries},
        "curve": [asdict(step) for step in module.curve],
    }
    if module.best is not None:
        state["best"] = module.best
    if team.rank == 0:
        _replace(folder / FILE, state)


def restore(folder: Path, module: TrainingModule) -> str | None:
    """Restores `module` from the checkpoint, if there is one. Returns the reason if an existing one cannot be used."""
    path = folder / FILE
    if not path.exists():
        return None
    try:
        state = _load(path)
        curve = [decode(TrainStep, row) for row in state["curve"]]
        trained, optimizer, best = state["trained"], state["optimizer"], state.get("best")
    except Exception as error:  # torch raises many kinds for a truncated file; the run can always restart
        return f"it cannot be read ({str(error).strip().splitlines()[0]})"
    parameters = module.trained_parameters()
    shapes = {name: value.shape for name, value in parameters.items()}
    if {name: value.shape for name, value in trained.items()} != shapes:
        return "it contains other parameters than those trained now"
    _copy(trained, parameters)
    module.curve, module.optimizer_state = curve, optimizer
    module.best = None if best is None else {name: value.clone() for name, value in best.items()}
    return None


def load_result(folder: Path, model: Any) -> list[TrainStep]:
    """Loads the result of a team's processes: parameters into `model`, which must have the same ones trainable. Returns
    the curve."""
    state = _load(folder / FILE)
    _copy(
        state.get("best") or state["trained"],
        {name: value for name, value in model.named_parameters() if value.requires_grad},
    )
    return [decode(TrainStep, row) for row in state["curve"]]


def keep_best(module: TrainingModule) -> None:
    """Gives the model of a single process its best parameters, if any were kept."""
    if module.best is not None:
        _copy(module.best, module.trained_parameters())


def _gathered(value: Any, team: Team) -> Any:
    """A whole tensor on the CPU of the first process; None in the others, which only help to gather it."""
    if not isinstance(value, torch.Tensor):
        return value
    return team.gather(value)


def _load(path: Path) -> dict[str, Any]:
    return torch.load(path, map_location="cpu", weights_only=True, mmap=True)


def _copy(values: Mapping[str, torch.Tensor], parameters: Mapping[str, torch.nn.Parameter]) -> None:
    with torch.no_grad():
        for name, value in parameters.items():
            value.copy_(values[name])


def _replace(path: Path, state: dict[str, Any]) -> None:
    temporary = path.with_name(f"{path.name}.tmp")
    try:
        with open(temporary, "wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except RuntimeError as error:  # on a full disk torch still closes its archive, and raises only that error
        if isinstance(error.__context__, OSError):
            raise error.__context__ from None
        raise
    finally:
        temporary.unlink(missing_ok=True)  # otherwise a full disk would stay full
