"""Fine-tuning as a stage: what the artifact holds, that equal runs leave equal bytes, and that a killed run goes on."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from stage_context import Steps, stage_context
from transformers import GenerationConfig
from unlisted import END, LISTED, save_unlisted

from crescent.core.console import Console
from crescent.core.records import QAPair, TrainStep
from crescent.core.store import Artifact, Key, Outcome, Store
from crescent.engines.weights import Weights, load
from crescent.training.methods import Full, Lora
from crescent.training.settings import TrainSettings
from crescent.training.stage import Finetune, Learner

SETTINGS = TrainSettings(
    name="lora", method=Lora(rank=4, alpha=8, dropout=0.1, target_modules="all-linear"), learning_rate=0.01, epochs=2,
    batch_size=4, max_length=128, schedule="cosine", warmup_ratio=0.1, weight_decay=0.01, max_grad_norm=1.0, seed=0,
    precision="32-true", micro_batch_tokens=4 * 128, checkpoint_every=2,
)  # fmt: skip
PAIRS = [
    QAPair(f"q{n}", f"Tom has {n} apples and gives {n // 2} to Ann." + " Think." * (n % 5), f"#### {n - n // 2}",
           str(n - n // 2), 3, 3, 1.0)
    for n in range(20)
]  # fmt: skip
ADAPTER = "adapter/adapter_model.safetensors"


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Models this small are fastest on one core, and threads that wait for a busy one are very slow."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def pairs_of(store: Store, pairs: list[QAPair]) -> Artifact:
    return store.build(Key("vote", 1, {"pairs": len(pairs)}), lambda work: Outcome(records=pairs))


def finetune(
    root: Path,
    model: Path,
    settings: TrainSettings = SETTINGS,
    pairs: list[QAPair] = PAIRS,
    curve: Any = None,
    console: Console | None = None,
) -> Artifact:
    """The artifact of `Finetune`; each step is passed to `curve`."""
    store, learner = Store(root), Learner(Weights("tiny", str(model)), "w")
    context = stage_context(store, console=console, events=Steps(curve) if curve else None)
    return Finetune(settings).run(context, learner, pairs_of(store, pairs))


@pytest.fixture(scope="module")
def undisturbed(tiny_llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """The artifact of a run that nothing interrupted."""
    torch.set_num_threads(1)
    return finetune(tmp_path_factory.mktemp("undisturbed"), tiny_llama)


def test_the_artifact_holds_the_adapter_alone_and_its_curve(undisturbed: Artifact) -> None:
    assert sorted(file.name for file in (undisturbed.path / "adapter").iterdir()) == [
        "adapter_config.json", "adapter_model.safetensors",
    ]  # fmt: skip
    steps = undisturbed.read(TrainStep)
    assert [(step.step, step.epoch) for step in steps] == [(n, 1 if n <= 5 else 2) for n in range(1, 11)]
    assert undisturbed.info["pairs"] == 20 and undisturbed.info["steps"] == 10
    assert undisturbed.info["target_tokens"] == sum(step.target_tokens for step in steps)
    assert undisturbed.info["truncated"] == undisturbed.info["dropped"] == 0


def test_nothing_in_the_adapter_names_a_place(undisturbed: Artifact, tiny_llama: Path) -> None:
    text = (undisturbed.path / "adapter" / "adapter_config.json").read_text()
    assert str(tiny_llama) not in text and str(tiny_llama.parent) not in text and "/" not in text
    assert json.loads(text)["target_modules"] == sorted(json.loads(text)["target_modules"])


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(
    undisturbed: Artifact, tiny_llama: Path, tmp_path: Path
) -> None:
    again = finetune(tmp_path / "again", tiny_llama)
    for file in (ADAPTER, "adapter/adapter_config.json", "records.jsonl", "meta.json"):
        assert (again.path / file).read_bytes() == (undisturbed.path / file).read_bytes()
    other = finetune(tmp_path / "other", tiny_llama, replace(SETTINGS, seed=1))
    assert other.key != again.key and (other.path / ADAPTER).read_bytes() != (again.path / ADAPTER).read_bytes()


KILLED = """
import os, signal, sys
from pathlib import Path
import torch
sys.path[:0] = sys.argv[4:]
import test_finetune
torch.set_num_threads(1)
def curve(metrics, step):
    if step == int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)
test_finetune.finetune(Path(sys.argv[1]), Path(sys.argv[2]), curve=curve)
"""


def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(
    undisturbed: Artifact, tiny_llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
    command = [sys.executable, "-c", KILLED, str(tmp_path), str(tiny_llama), "8", *paths]
    killed = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONHASHSEED": "7"})
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not list(tmp_path.glob("artifacts/finetune/*")) and len(list(tmp_path.glob("work/finetune/*/*.pt"))) == 1

    live, batches = [], []
    watch_batches(monkeypatch, batches)
    resumed = finetune(tmp_path, tiny_llama, curve=lambda metrics, step: live.append((step, "grad_norm" in metrics)))
    assert batches == [7, 8, 9, 10]  # the checkpoint was written after step 6, in the middle of the second epoch
    assert live == [(n, n > 6) for n in range(1, 11)]
    for file in (ADAPTER, "adapter/adapter_config.json", "records.jsonl", "meta.json"):
        assert (resumed.path / file).read_bytes() == (undisturbed.path / file).read_bytes()
    assert not list(tmp_path.glob("work/finetune/*"))


def watch_batches(monkeypatch: pytest.MonkeyPatch, seen: list[int]) -> None:
    from crescent.training.module import Batch, TrainingModule

    step = TrainingModule.training_step

    def watched(module: TrainingModule, batch: Batch, batch_idx: int) -> None:
        seen.append(batch.number)
        step(module, batch, batch_idx)

    monkeypatch.setattr(TrainingModule, "training_step", watched)


class Stop(Exception):
    """Raised in the middle of a run."""


def interrupt(root: Path, model: Path, at: int, how: Any) -> None:
    def curve(metrics: Mapping[str, float], step: int) -> None:
        if step == at:
            how()

    finetune(root, model, curve=curve)


def stop() -> None:
    raise Stop


def test_the_checkpoint_holds_what_is_trained_and_not_the_frozen_model(tiny_llama: Path, tmp_path: Path) -> None:
    with pytest.raises(Stop):
        interrupt(tmp_path, tiny_llama, 5, stop)
    state = torch.load(next(tmp_path.glob("work/finetune/*/checkpoint.pt")), weights_only=True)
    assert set(state) == {"trained", "optimizer", "curve"} and len(state["curve"]) == 4
    assert state["trained"] and all("lora_" in name for name in state["trained"])


def test_a_damaged_checkpoint_is_named_and_training_begins_again(
    undisturbed: Artifact, tiny_llama: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Stop):
        interrupt(tmp_path, tiny_llama, 5, stop)
    next(tmp_path.glob("work/finetune/*/checkpoint.pt")).write_bytes(b"cut short")
    artifact = finetune(tmp_path, tiny_llama, console=Console())
    assert "cannot be read" in capsys.readouterr().err
    assert (artifact.path / ADAPTER).read_bytes() == (undisturbed.path / ADAPTER).read_bytes()


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Control-C as in a terminal: a shell starts what runs in the background with the signal ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_control_c_stays_a_keyboard_interrupt(tiny_llama: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        interrupt(tmp_path, tiny_llama, 3, lambda: signal.raise_signal(signal.SIGINT))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_sigterm_ends_with_its_status_and_keeps_the_steps_done(
    undisturbed: Artifact, tiny_llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit) as ended:
        interrupt(tmp_path, tiny_llama, 3, lambda: signal.raise_signal(signal.SIGTERM))
    assert ended.value.code == 128 + signal.SIGTERM
    batches: list[int] = []
    watch_batches(monkeypatch, batches)
    resumed = finetune(tmp_path, tiny_llama)
    assert batches[0] == 4 and (resumed.path / ADAPTER).read_bytes() == (undisturbed.path / ADAPTER).read_bytes()


def test_a_reused_artifact_shows_its_curve_again_and_trains_nothing(undisturbed: Artifact, tiny_llama: Path) -> None:
    seen: list[tuple[int, float]] = []
    root = undisturbed.path.parents[2]
    again = finetune(root, tiny_llama, curve=lambda metrics, step: seen.append((step, metrics["loss"])))
    assert again.reused and seen == [(step.step, step.loss) for step in undisturbed.read(TrainStep)]


def test_without_pairs_it_says_what_to_change(tiny_llama: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no pairs to train on.*vote\.min_agreement") as error:
        finetune(tmp_path, tiny_llama, pairs=[])
    assert "\n" not in str(error.value)


def test_cut_and_left_out_pairs_are_counted_and_named(
    tiny_llama: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    long = [replace(PAIRS[0], question_id="cut", response="7 " * 200), replace(PAIRS[0], question_id="out",
            question="Tom " * 200), replace(PAIRS[0], question_id="bad", response="7<|end|>8"), PAIRS[1]]  # fmt: skip
    artifact = finetune(tmp_path, tiny_llama, replace(SETTINGS, overlong="cut"), long, console=Console())
    said = capsys.readouterr().err
    assert artifact.info["truncated"] == 1 and artifact.info["dropped"] == 2
    assert "cut at train.max_length=128: cut" in said and ": out\n" in said and ": bad\n" in said
    assert finetune(tmp_path, tiny_llama, pairs=long, console=Console()).info["dropped"] == 3


def test_where_no_pair_is_left_it_says_what_to_raise(tiny_llama: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"1 are longer than train\.max_length=8"):
        finetune(tmp_path, tiny_llama, replace(SETTINGS, max_length=8), PAIRS[:1])


@pytest.mark.parametrize("kind", ["tiny_llama", "tiny_qwen"])
def test_an_adapter_answers_alike_merged_and_unmerged(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    from peft import PeftModel

    model = request.getfixturevalue(kind)
    artifact = finetune(tmp_path, model)
    plain, tokenizer = load(Weights("tiny", str(model)), "cpu")
    merged: Any = load(Finetune(SETTINGS).trained(Weights("tiny", str(model)), artifact), "cpu")[0]
    ids = torch.tensor([tokenizer.encode("Tom has 12 apples and gives 5 to Ann.")])
    with torch.no_grad():
        before = plain(input_ids=ids).logits
        unmerged: Any = PeftModel.from_pretrained(plain, str(artifact.path / "adapter")).eval()
        assert (unmerged(input_ids=ids).logits - merged(input_ids=ids).logits).abs().max() < 1e-4
        assert (merged(input_ids=ids).logits - before).abs().max() > 1e-2  # it did learn something
        greedy: Any = {"do_sample": False, "max_new_tokens": 16, "pad_token_id": 2}
        assert torch.equal(unmerged.generate(input_ids=ids, **greedy), merged.generate(ids, **greedy))


def test_training_goes_on_from_an_adapter_and_stays_relative_to_the_plain_model(
    undisturbed: Artifact, tiny_llama: Path
) -> None:
    store, stage, plain = Store(undisturbed.path.parents[2]), Finetune(SETTINGS), Weights("tiny", str(tiny_llama))
    first = stage.trained(plain, undisturbed)
    second = stage.run(stage_context(store), Learner(first, "w2"), pairs_of(store, PAIRS))
    assert second.read(TrainStep)[0].loss < undisturbed.read(TrainStep)[0].loss
    assert stage.trained(first, second) == plain.with_adapter(second.path / "adapter", second.key)
    with pytest.raises(ValueError, match=r"train\.method\.rank is 8; it must be 4, as in the adapter"):
        Lora(rank=8, alpha=8, dropout=0.1, target_modules="all-linear").load(first)


def test_full_training_keeps_the_whole_model_with_its_tokenizer(tiny_llama: Path, tmp_path: Path) -> None:
    settings = replace(SETTINGS, method=Full(), epochs=1)
    artifact = finetune(tmp_path, tiny_llama, settings)
    weights = Finetune(settings).trained(Weights("tiny", str(tiny_llama)), artifact)
    trained, tokenizer = load(weights, "cpu")
    plain, _ = load(Weights("tiny", str(tiny_llama)), "cpu")
    assert tokenizer.chat_template is not None
    assert any(not torch.equal(a, b) for a, b in zip(trained.parameters(), plain.parameters(), strict=True))
    assert all(str(tiny_llama) not in file.read_text() for file in (artifact.path / "model").glob("*.json"))
    assert not list(artifact.path.rglob("lightning_logs"))


def test_full_training_goes_on_with_the_same_bytes(tiny_llama: Path, tmp_path: Path) -> None:
    full = replace(SETTINGS, method=Full())
    whole = finetune(tmp_path / "whole", tiny_llama, full)

    def curve(metrics: Mapping[str, float], step: int) -> None:
        if step == 7:
            stop()

    with pytest.raises(Stop):
        finetune(tmp_path / "parts", tiny_llama, full, curve=curve)
    parts = finetune(tmp_path / "parts", tiny_llama, full)
    file = "model/model.safetensors"
    assert (parts.path / file).read_bytes() == (whole.path / file).read_bytes()


def test_it_trains_outside_of_the_main_thread(undisturbed: Artifact, tiny_llama: Path, tmp_path: Path) -> None:
    keys: list[str] = []
    thread = threading.Thread(target=lambda: keys.append(finetune(tmp_path, tiny_llama).key))
    thread.start()
    thread.join(timeout=60)
    assert keys == [undisturbed.key]


def test_a_run_prints_our_lines_and_none_of_the_trainer(
    tiny_llama: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crescent.core.console.SECONDS_BETWEEN_LINES", 0.0)
    finetune(tmp_path, tiny_llama, replace(SETTINGS, learning_rate=2e-4), console=Console())
    out, err = capfd.readouterr()
    lines = [line for line in err.splitlines() if line.strip() and "Loading weights" not in line]
    assert (
        not out and lines[0].startswith("  20 pairs, ") and all(line.startswith("  finetune: ") for line in lines[1:])
    )
    assert "steps" in lines[1] and "left, loss" in lines[1]


@pytest.mark.parametrize(("method", "place"), [(SETTINGS.method, "adapter"), (Full(), "model")], ids=["lora", "full"])
def test_the_student_lists_the_end_of_turn_that_it_has_learned(method: Any, place: str, tmp_path: Path) -> None:
    base = save_unlisted(tmp_path / "model")
    made = finetune(tmp_path / "store", base, replace(SETTINGS, method=method, epochs=1), PAIRS[:4])
    saved = GenerationConfig.from_pretrained(str(made.path / place))
    assert saved.eos_token_id == [LISTED, END]
