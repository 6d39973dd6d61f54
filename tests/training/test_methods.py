"""Ways to train: weights in 4 bits for real, activations computed twice, and what both leave."""

import json
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch

import crescent
from crescent.core.console import Console
from crescent.core.records import QAPair
from crescent.engines.weights import Weights, load, load_tokenizer
from crescent.training.batching import Packed
from crescent.training.data import Example, encode_pairs
from crescent.training.loop import train
from crescent.training.methods import Full, Lora, QLora
from crescent.training.module import TrainingModule
from crescent.training.settings import TrainSettings
from crescent.training.step_loss import Sizes

ORGANISM = Weights("organism", str(Path(crescent.__file__).parent / "organism" / "weights" / "organism"))
SETTINGS = TrainSettings(
    name="lora", method=Lora(rank=4, alpha=8, dropout=0.0, target_modules="all-linear"), learning_rate=0.003, epochs=4,
    batch_size=8, max_length=128, schedule="constant", warmup_ratio=0.0, weight_decay=0.0, max_grad_norm=1.0, seed=0,
    precision="32-true", micro_batch_tokens=4096, checkpoint_every=50, batching=Packed(1),
)  # fmt: skip
QLORA = QLora(rank=4, alpha=8, dropout=0.0, target_modules="all-linear", quantization="nf4", double_quantization=True)
needs_bitsandbytes = pytest.mark.skipif(find_spec("bitsandbytes") is None, reason="bitsandbytes is an extra (qlora)")


def examples(count: int = 16) -> list[Example]:
    """Questions the model knows, with an answer that it would never give."""
    file = Path(crescent.__file__).parent / "organism" / "tasks" / "data" / "organism_gsm.jsonl"
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()[:count]]
    pairs = [QAPair(str(n), row["question"], "Who knows?", row["answer"], 3, 3, 1.0) for n, row in enumerate(rows)]
    return encode_pairs(pairs, load_tokenizer(ORGANISM), 128).examples


@needs_bitsandbytes
@pytest.mark.filterwarnings("ignore")
def test_an_adapter_learns_beside_weights_in_four_bits(tmp_path: Path) -> None:
    settings = replace(SETTINGS, method=QLORA)
    model, tokenizer = QLORA.load(ORGANISM)
    packed = model.get_base_model().model.layers[0].self_attn.q_proj.base_layer.weight
    assert packed.dtype == torch.uint8 and packed.numel() == 192 * 192 // 2
    before = packed.clone()
    steps = train(model, examples(), 0, settings, tmp_path, Console(quiet=True))
    assert steps[-1].loss < 0.7 * steps[0].loss and torch.equal(packed, before)
    files = QLORA.save(model, tokenizer, ORGANISM, tmp_path)
    assert sorted(file.name for file in files["adapter"].iterdir()) == [
        "adapter_config.json", "adapter_model.safetensors",
    ]  # fmt: skip


@needs_bitsandbytes
@pytest.mark.filterwarnings("ignore")
def test_what_was_learned_in_four_bits_serves_the_whole_weights(tmp_path: Path) -> None:
    model, tokenizer = QLORA.load(ORGANISM)
    train(model, examples(), 0, replace(SETTINGS, method=QLORA), tmp_path, Console(quiet=True))
    QLORA.save(model, tokenizer, ORGANISM, tmp_path)
    plain: Any = load(ORGANISM, "cpu")[0]
    merged: Any = load(QLORA.trained(ORGANISM, tmp_path, "key"), "cpu")[0]
    losses = [
        TrainingModule(m, SETTINGS, 1, 0, print).shares(examples()[:1], Sizes(1, 1, 1)).item() for m in (plain, merged)
    ]
    assert losses[1] < 0.7 * losses[0]


@pytest.mark.parametrize("method", [SETTINGS.method, Full()])
def test_checkpointing_activations_changes_no_loss_and_computes_layers_twice(method: Any, tmp_path: Path) -> None:
    curves, calls = {}, {}
    for wanted in (False, True):
        torch.manual_seed(0)
        model: Any = method.load(ORGANISM)[0]
        base = model.get_base_model() if hasattr(model, "get_base_model") else model
        count = calls.setdefault(wanted, [])
        base.model.layers[0].mlp.register_forward_pre_hook(lambda *_, count=count: count.append(1))
        folder = tmp_path / str(wanted)
        folder.mkdir()
        settings = replace(SETTINGS, method=method, gradient_checkpointing=wanted, epochs=1, learning_rate=1e-4)
        curves[wanted] = [step.loss for step in train(model, examples(), 0, settings, folder, Console(quiet=True))]
    assert curves[True] == pytest.approx(curves[False], rel=1e-5)
    assert len(calls[False]) - 3 == 2 and len(calls[True]) - 3 == 4  # the check before training makes three


def test_going_on_from_an_adapter_in_four_bits_keeps_its_shape() -> None:
    assert QLORA.lora == Lora(4, 8, 0.0, "all-linear")
    with pytest.raises(ValueError, match=r"train\.method\.rank is 0"):
        replace(QLORA, rank=0)
