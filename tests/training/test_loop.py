"""A training that is asked to end: it stops between two steps, and what is done by then is kept."""

import signal
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from test_module import EXAMPLES, PAD, SETTINGS, load

from crescent.core.console import Console
from crescent.core.signals import stoppable
from crescent.training.loop import train


@pytest.fixture(autouse=True)
def submitit() -> Iterator[None]:
    """Its handler, which ends the process."""

    def handler(signum: int, frame: object) -> None:
        raise SystemExit(-1)

    before = signal.signal(signal.SIGUSR2, handler)
    yield
    signal.signal(signal.SIGUSR2, before)


def steps_kept(model: Path, folder: Path, signum: int, at: int) -> tuple[int, object]:
    """Trains 4 steps, signals after one of them, and returns how many are in the checkpoint and the exit status."""

    def curve(metrics: Mapping[str, float], step: int) -> None:
        if step == at:
            signal.raise_signal(signum)

    with pytest.raises(SystemExit) as ended, stoppable():
        train(load(model), EXAMPLES, PAD, replace(SETTINGS, epochs=4), folder, Console(quiet=True), curve)
    assert getattr(ended.value, "signum", signum) == signum
    return len(torch.load(folder / "checkpoint.pt")["curve"]), ended.value.code


@pytest.mark.parametrize("at", [2, 4])
@pytest.mark.parametrize(("signum", "status"), [(signal.SIGTERM, 143), (signal.SIGUSR1, 143), (signal.SIGUSR2, -1)])
def test_a_signal_ends_a_training_with_a_checkpoint_of_the_step_in_hand(
    signum: int, status: int, at: int, tiny_llama: Path, tmp_path: Path
) -> None:
    assert steps_kept(tiny_llama, tmp_path, signum, at) == (at, status)


def test_a_training_that_was_stopped_goes_on_to_the_weights_of_an_undisturbed_one(
    tiny_llama: Path, tmp_path: Path, console: Console
) -> None:
    steps_kept(tiny_llama, tmp_path, signal.SIGUSR1, 2)
    resumed, undisturbed, whole = load(tiny_llama), load(tiny_llama), tmp_path / "whole"
    whole.mkdir()
    for model, folder in ((resumed, tmp_path), (undisturbed, whole)):
        train(model, EXAMPLES, PAD, replace(SETTINGS, epochs=4), folder, console)
    expected = dict(undisturbed.named_parameters())
    assert all(torch.equal(value, expected[name]) for name, value in resumed.named_parameters())


def test_memory_that_runs_out_outside_a_step_says_what_to_choose(
    tiny_llama: Path, tmp_path: Path, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*given: object, **named: object) -> None:
        raise RuntimeError("CUDA error: out of memory")

    monkeypatch.setattr(torch.optim, "AdamW", no_room)
    with pytest.raises(MemoryError, match=r"optimiser\. Use train=lora"):
        train(load(tiny_llama), EXAMPLES, PAD, SETTINGS, tmp_path, console)
