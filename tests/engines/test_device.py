"""A GPU that torch cannot use is named."""

from pathlib import Path

import pytest
import torch

from crescent.engines.device import unusable_gpu


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the driver of one GPU shows."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    (tmp_path / "0000:01:00.0").mkdir()
    return tmp_path


def test_a_build_without_cuda_and_an_old_driver_are_told_apart(driver: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", None)
    assert "is a build without CUDA" in str(unusable_gpu(driver))
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    assert "needs a driver for CUDA 13.0" in str(unusable_gpu(driver))


def test_nothing_is_said_where_there_is_no_gpu_it_works_or_it_is_hidden(
    driver: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert unusable_gpu(driver / "none") is None and unusable_gpu(driver / "0000:01:00.0") is None
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert unusable_gpu(driver) is None
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert unusable_gpu(driver) is None
