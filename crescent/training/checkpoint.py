"""What a killed run goes on from: one file with what is trained, the optimiser and the curve so far.

In: a `TrainingModule` between two steps. Out: the file, or the module put back to where the file was written. The
frozen weights are not in it: they are loaded as for a new run. The learning rate is a function of the step, dropout is
seeded by it, and the batches are planned, so nothing else is needed. Tensors in it are whole, however many processes
trained: a run that was killed on four devices goes on on two. They are put together one by one, in the machine's memory
of the first process, and read from the file as they are needed: a GPU never holds more than one that is whole.
"""

import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from crescent.core.records import TrainStep, decode
from crescent.training.module import TrainingModule
from crescent.training.team import ALONE, Team, full_tensor

FILE = "checkpoint.pt"


def save(folder: Path, module: TrainingModule, team: Team = ALONE) -> None:
    """Replaces the checkpoint in `folder` at once, or, if killed, not at all. All processes of a team must call it."""
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
    if team.rank == 0:
        _replace(folder / FILE, state)


def restore(folder: Path, module: TrainingModule) -> str | None:
    """Puts `module` back to the checkpoint, if there is one. Returns why one that is there cannot be used."""
    path = folder / FILE
    if not path.exists():
        return None
    try:
        state = _load(path)
        curve = [decode(TrainStep, row) for row in state["curve"]]
        trained, optimizer = state["trained"], state["optimizer"]
    except Exception as error:  # torch raises many kinds for a file cut short; the run can always begin again
        return f"it cannot be read ({str(error).strip().splitlines()[0]})"
    parameters = module.trained_parameters()
    shapes = {name: value.shape for name, value in parameters.items()}
    if {name: value.shape for name, value in trained.items()} != shapes:
        return "it holds other parameters than are trained now"
    _copy(trained, parameters)
    module.curve, module.optimizer_state = curve, optimizer
    return None


def load_result(folder: Path, model: Any) -> list[TrainStep]:
    """What a team's processes left: its parameters into `model`, which asks for the same gradients, and the curve."""
    state = _load(folder / FILE)
    _copy(state["trained"], {name: value for name, value in model.named_parameters() if value.requires_grad})
    return [decode(TrainStep, row) for row in state["curve"]]


def _gathered(value: Any, team: Team) -> Any:
    """A tensor, whole, on the CPU of the first process; None in the others, who only help to put it together."""
    if not isinstance(value, torch.Tensor):
        return value
    together = full_tensor(value)
    return together.cpu() if team.rank == 0 else None


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
    except RuntimeError as error:  # on a full disk torch closes its archive all the same, and complains of that alone
        if isinstance(error.__context__, OSError):
            raise error.__context__ from None
        raise
    finally:
        temporary.unlink(missing_ok=True)  # where the disk was full, it would stay so
