"""What a killed run goes on from: written whole or not at all, and put together in the memory of one process only."""

import weakref
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from crescent.training import checkpoint
from crescent.training.team import Team


class Spread:
    """Tensors of a model whose weights are sharded: each can be asked for whole. `most` were held at a time."""

    def __init__(self) -> None:
        self.most, self._alive = 0, list[weakref.ref[torch.Tensor]]()

    def tensor(self) -> Any:
        part: Any = torch.zeros(2)
        part.full_tensor = self._whole
        return part

    def _whole(self) -> torch.Tensor:
        together = torch.ones(4)
        self._alive.append(weakref.ref(together))
        self.most = max(self.most, sum(one() is not None for one in self._alive))
        return together


def module(spread: Spread) -> Any:
    entries = {index: {"exp_avg": spread.tensor(), "exp_avg_sq": spread.tensor()} for index in range(3)}
    optimizer = SimpleNamespace(state_dict=lambda: {"state": entries, "param_groups": []})
    trained = {str(index): spread.tensor() for index in range(3)}
    return SimpleNamespace(optimizers=lambda: optimizer, trained_parameters=lambda: trained, curve=[], best=None)


def test_the_first_process_writes_whole_tensors(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, module(Spread()), Team(0, 2, "fsdp"))
    state = torch.load(tmp_path / checkpoint.FILE)
    assert all(value.shape == (4,) for value in state["trained"].values())
    assert state["optimizer"]["state"][2]["exp_avg_sq"].shape == (4,)


def test_the_others_let_each_tensor_go_before_the_next(tmp_path: Path) -> None:
    spread = Spread()
    checkpoint.save(tmp_path, module(spread), Team(1, 2, "fsdp"))
    assert spread.most == 1 and not list(tmp_path.iterdir())


def test_a_full_disk_keeps_the_checkpoint_before_and_no_part_of_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(state: Any, file: Any) -> None:
        file.write(b"part")
        raise OSError(28, "No space left on device")

    (tmp_path / checkpoint.FILE).write_bytes(b"before")
    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="No space"):
        checkpoint.save(tmp_path, module(Spread()))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {checkpoint.FILE: b"before"}
