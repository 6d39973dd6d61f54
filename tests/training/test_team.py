"""Training in several processes: the same losses and the same adapter as in one, and no process left behind."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from stage_context import Steps, stage_context

from crescent.core.console import Console
from crescent.core.records import QAPair, TrainStep
from crescent.core.signals import Stopped
from crescent.core.store import Artifact, Key, Outcome, Store
from crescent.engines.weights import Weights
from crescent.training.batching import Packed
from crescent.training.launch import raise_fault, write_fault
from crescent.training.methods import Full, Lora
from crescent.training.settings import TrainSettings
from crescent.training.stage import Finetune, Learner
from crescent.training.team import Team

SETTINGS = TrainSettings(
    name="lora", method=Lora(rank=4, alpha=8, dropout=0.0, target_modules="all-linear"), learning_rate=0.01, epochs=2,
    batch_size=5, max_length=128, schedule="cosine", warmup_ratio=0.1, weight_decay=0.01, max_grad_norm=1.0, seed=0,
    precision="32-true", micro_batch_tokens=150, checkpoint_every=2,
)  # fmt: skip
PAIRS = [
    QAPair(f"q{n}", f"Tom has {n} apples and gives {n // 2} to Ann." + " Think." * (n % 5), f"#### {n - n // 2}",
           str(n - n // 2), 3, 3, 1.0)
    for n in range(16)
]  # fmt: skip
ADAPTER = "adapter/adapter_model.safetensors"
WAYS = [
    pytest.param(SETTINGS, id="ddp"),
    pytest.param(replace(SETTINGS, batching=Packed(1)), id="ddp packed", marks=pytest.mark.slow),
    pytest.param(replace(SETTINGS, strategy="fsdp"), id="fsdp", marks=pytest.mark.slow),
]


def finetune(
    root: Path, model: Path, settings: TrainSettings, curve: Any = None, console: Console | None = None
) -> Artifact:
    store, learner = Store(root), Learner(Weights("tiny", str(model)), "w")
    pairs = store.build(Key("vote", 1, {"pairs": len(PAIRS)}), lambda work: Outcome(records=PAIRS))
    context = stage_context(store, console=console, events=Steps(curve) if curve else None)
    return Finetune(settings).run(context, learner, pairs)


def losses(artifact: Artifact) -> list[float]:
    return [step.loss for step in artifact.read(TrainStep)]


@pytest.mark.parametrize("settings", WAYS)
def test_two_processes_train_as_one_does(settings: TrainSettings, tiny_llama: Path, tmp_path: Path) -> None:
    one = finetune(tmp_path / "one", tiny_llama, settings)
    two = finetune(tmp_path / "two", tiny_llama, replace(settings, devices=2))
    assert [step.target_tokens for step in two.read(TrainStep)] == [s.target_tokens for s in one.read(TrainStep)]
    assert losses(two) == pytest.approx(losses(one), rel=1e-4)
    expected, found = load_file(one.path / ADAPTER), load_file(two.path / ADAPTER)
    assert expected.keys() == found.keys() and any(value.abs().max() > 0.01 for value in expected.values())
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-3, atol=2e-4)


@pytest.mark.slow
@pytest.mark.parametrize(("precision", "rounding"), [("32-true", 1e-4), ("bf16-mixed", 0.02)])
def test_full_training_in_two_processes_keeps_the_whole_model(
    precision: str, rounding: float, tiny_llama: Path, tmp_path: Path
) -> None:
    full = replace(SETTINGS, method=Full(), learning_rate=0.001, epochs=1, precision=precision)
    one = finetune(tmp_path / "one", tiny_llama, full)
    two = finetune(tmp_path / "two", tiny_llama, replace(full, devices=2, strategy="fsdp"))
    assert losses(two) == pytest.approx(losses(one), rel=rounding)
    weights = load_file(two.path / "model" / "model.safetensors")
    assert {value.dtype for value in weights.values()} == {torch.float32}, "what is trained stays in float32"
    assert not list(two.path.rglob("*.pickle")) and (two.path / "model" / "config.json").exists()


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path[:0] = sys.argv[4:]
import test_team
from dataclasses import replace
def curve(metrics, step):
    print(step, flush=True)
    if step == 5:
        also = [] if sys.argv[3] == "SIGKILL" else test_team.workers(Path(sys.argv[1]))  # as Slurm does
        for pid in [*also, os.getpid()]:
            os.kill(pid, getattr(signal, sys.argv[3]))
test_team.finetune(Path(sys.argv[1]), Path(sys.argv[2]), replace(test_team.SETTINGS, devices=2), curve)
"""


def interrupted(root: Path, model: Path, how: str) -> int:
    paths = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
    command = [sys.executable, "-c", KILLED, str(root), str(model), how, *paths]
    return subprocess.run(
        command, capture_output=True, timeout=120, env={**os.environ, "OMP_NUM_THREADS": "1"}
    ).returncode


def workers(root: Path) -> list[int]:
    """The training processes that work below `root`."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            command = (folder / "cmdline").read_bytes() if folder.name.isdigit() else b""
        except OSError:
            continue
        if b"crescent.training.worker" in command and str(root).encode() in command:
            found.append(int(folder.name))
    return found


def wait_for(holds: Callable[[], bool], seconds: float = 20.0) -> bool:
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        time.sleep(0.1)
    return holds()


@pytest.mark.slow
@pytest.mark.parametrize("how", ["SIGKILL", "SIGTERM", "SIGUSR1"])
def test_a_run_that_was_ended_leaves_no_process_and_goes_on_to_the_same_bytes(
    how: str, tiny_llama: Path, tmp_path: Path
) -> None:
    status = interrupted(tmp_path / "parts", tiny_llama, how)
    assert status == (-signal.SIGKILL if how == "SIGKILL" else 128 + signal.SIGTERM)
    assert wait_for(lambda: not workers(tmp_path))
    assert len(list((tmp_path / "parts").glob("work/finetune/*/checkpoint.pt"))) == 1
    live: list[bool] = []
    two = replace(SETTINGS, devices=2)
    resumed = finetune(tmp_path / "parts", tiny_llama, two, lambda metrics, step: live.append("grad_norm" in metrics))
    assert len(live) == 8 and not all(live) and any(live)
    undisturbed = finetune(tmp_path / "whole", tiny_llama, two)
    assert (resumed.path / ADAPTER).read_bytes() == (undisturbed.path / ADAPTER).read_bytes()
    assert losses(resumed) == losses(undisturbed)


@pytest.mark.slow
def test_a_run_killed_on_two_processes_goes_on_in_one(tiny_llama: Path, tmp_path: Path) -> None:
    interrupted(tmp_path, tiny_llama, "SIGKILL")
    assert wait_for(lambda: not workers(tmp_path))
    live: list[int] = []

    def curve(metrics: Mapping[str, float], step: int) -> None:
        live.extend([step] if "grad_norm" in metrics else [])

    assert len(losses(finetune(tmp_path, tiny_llama, SETTINGS, curve))) == 8 and live and live[0] > 1


def test_the_message_of_a_process_reaches_the_user(tiny_llama: Path, tmp_path: Path) -> None:
    diverging = replace(SETTINGS, devices=2, learning_rate=1e30, max_grad_norm=1e30, warmup_ratio=0.0)
    with pytest.raises(ValueError, match=r"diverged at step \d+ .*Lower train\.learning_rate"):
        finetune(tmp_path, tiny_llama, diverging)
    assert not workers(tmp_path)


@pytest.mark.slow
def test_a_process_that_dies_ends_the_others_and_is_named(tiny_llama: Path, tmp_path: Path) -> None:
    def curve(metrics: Mapping[str, float], step: int) -> None:
        if step == 3:
            os.kill(max(workers(tmp_path)), signal.SIGKILL)

    slow = replace(SETTINGS, devices=2, epochs=200)
    with pytest.raises(MemoryError, match=r"ran out of memory.*Lower train\.devices"):
        finetune(tmp_path, tiny_llama, slow, curve)
    assert not workers(tmp_path)


@pytest.mark.slow
def test_one_process_shows_progress_for_all(
    tiny_llama: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crescent.core.console.SECONDS_BETWEEN_LINES", 0.0)
    finetune(tmp_path, tiny_llama, replace(SETTINGS, devices=2), console=Console())
    out, err = capfd.readouterr()
    lines = [line for line in err.splitlines() if line.startswith("  finetune: ")]
    assert not out and [int(line.split()[1].split("/")[0]) for line in lines] == list(range(1, 9))


@pytest.mark.slow
def test_a_signal_to_one_process_alone_stops_the_run(tiny_llama: Path, tmp_path: Path) -> None:
    def curve(metrics: Mapping[str, float], step: int) -> None:
        if step == 3:
            os.kill(max(workers(tmp_path)), signal.SIGUSR1)

    with pytest.raises(Stopped):
        finetune(tmp_path, tiny_llama, replace(SETTINGS, devices=2, epochs=200), curve)
    assert not workers(tmp_path) and len(list(tmp_path.glob("work/finetune/*/checkpoint.pt"))) == 1


def test_the_fault_of_an_earlier_attempt_fails_no_training_that_ended_well(tmp_path: Path) -> None:
    write_fault(tmp_path, Team(1, 2), ValueError("diverged"))
    raise_fault([0, 0], tmp_path)
    with pytest.raises(ValueError, match="diverged"):
        raise_fault([-signal.SIGKILL, 1], tmp_path)


def test_a_process_that_the_system_killed_is_told_as_a_lack_of_memory(tmp_path: Path) -> None:
    with pytest.raises(MemoryError, match=r"ran out of memory.*2 processes.*Lower train\.devices"):
        raise_fault([-signal.SIGKILL, -signal.SIGKILL], tmp_path)


def test_a_fault_of_ours_is_told_with_the_last_line_of_its_log(tmp_path: Path) -> None:
    (tmp_path / "rank-1.log").write_text("Traceback\nKeyError: 'x'\n")
    with pytest.raises(RuntimeError, match=r"process 1 of 2 ended with status 1: KeyError: 'x'"):
        raise_fault([-signal.SIGKILL, 1], tmp_path)


def test_shares_are_a_partition_of_the_step() -> None:
    shares = [Team(rank, 3).share(range(10)) for rank in range(3)]
    assert sorted(item for share in shares for item in share) == list(range(10))
    assert json.dumps(shares[0]) == "[0, 3, 6, 9]"
