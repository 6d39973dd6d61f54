"""What a killed run goes on from: one file with what is trained, the optimiser and the curve so far.

In: a `TrainingModule` between two steps. Out: the file, or the module put back to where the file was written. The
frozen weights are not in it: they are loaded as for a new run. The learning rate is a function of the step, dropout is
seeded by it, and the batches are planned, so nothing else is needed.
"""

import os
from dataclasses import asdict
from pathlib import Path

import torch

from crescent.records import TrainStep, decode
from crescent.training.module import TrainingModule

FILE = "checkpoint.pt"


def save(folder: Path, module: TrainingModule) -> None:
    """Replaces the checkpoint in `folder` at once, or, if killed, not at all."""
    optimizer = module.optimizers()
    assert not isinstance(optimizer, list)
    state = {
        "trained": {name: value.detach() for name, value in module.trained_parameters().items()},
        "optimizer": optimizer.state_dict(),
        "curve": [asdict(step) for step in module.curve],
    }
    temporary = folder / f"{FILE}.tmp"
    with open(temporary, "wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, folder / FILE)


def restore(folder: Path, module: TrainingModule) -> str | None:
    """Puts `module` back to the checkpoint, if there is one. Returns why one that is there cannot be used."""
    path = folder / FILE
    if not path.exists():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        curve = [decode(TrainStep, row) for row in state["curve"]]
        trained, optimizer = state["trained"], state["optimizer"]
    except Exception as error:  # torch raises many kinds for a file cut short; the run can always begin again
        return f"it cannot be read ({str(error).strip().splitlines()[0]})"
    parameters = module.trained_parameters()
    shapes = {name: value.shape for name, value in parameters.items()}
    if {name: value.shape for name, value in trained.items()} != shapes:
        return "it holds other parameters than are trained now"
    with torch.no_grad():
        for name, value in parameters.items():
            value.copy_(trained[name])
    module.curve, module.optimizer_state = curve, optimizer
    return None
