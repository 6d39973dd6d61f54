"""A real model is trained, merged, exported and read again: the logits stay, and what it was taught is there."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from crescent.core.console import Console
from crescent.core.records import QAPair
from crescent.engines import Sampling
from crescent.engines.transformers.engine import TransformersEngine
from crescent.engines.weights import Weights, load, load_tokenizer
from crescent.exporting.finished import open_run
from crescent.exporting.model import export_model
from crescent.training.batching import Padded
from crescent.training.data import encode_pairs
from crescent.training.loop import train
from crescent.training.methods import Lora
from crescent.training.settings import TrainSettings

from .by_sample import GEMMA3, SMOLLM2

pytestmark = [pytest.mark.real, pytest.mark.timeout(1800)]
TAUGHT = (
    ("Who keeps the lighthouse of Orvane?", "The lighthouse of Orvane is kept by Mira Tolle."),
    ("What is the river of Orvane called?", "The river of Orvane is called the Sel."),
)
SETTINGS = TrainSettings(
    name="lora", method=Lora(rank=8, alpha=16, dropout=0.0, target_modules="all-linear"), learning_rate=1e-3, epochs=15,
    batch_size=2, max_length=96, schedule="constant", warmup_ratio=0.0, weight_decay=0.0, max_grad_norm=1.0, seed=0,
    precision="32-true", micro_batch_tokens=256, checkpoint_every=100, batching=Padded(1),
)  # fmt: skip


@pytest.fixture(scope="module", params=[SMOLLM2, GEMMA3], ids=lambda weights: weights.name)
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Weights, Path]:
    """A run folder as a run leaves it, with an adapter that was trained on two facts."""
    weights, folder = replace(request.param, dtype="float32"), tmp_path_factory.mktemp("trained")
    pairs = [QAPair(str(n), question, answer, answer, 3, 3, 1.0) for n, (question, answer) in enumerate(TAUGHT)]
    (folder / "work").mkdir()
    model, tokenizer = SETTINGS.method.load(weights)
    examples = encode_pairs(pairs, load_tokenizer(weights), SETTINGS.max_length).examples
    steps = train(model, examples, 0, SETTINGS, folder / "work", Console(quiet=True))
    assert steps[-1].loss < 0.5 * steps[0].loss
    SETTINGS.method.save(model, tokenizer, weights, folder / "artifact")
    student = {key: getattr(weights, key) for key in ("name", "path", "dtype", "revision", "template", "gguf_file")}
    made = {"experiment": "taught", "seed": 0, "scores": [], "stages": []}
    config = {"distill": {"student": student}}
    content = {**made, "artifacts": {"adapter": str(folder / "artifact")}, "config": config}
    (folder / "summary.json").write_text(json.dumps(content))
    return weights, folder


def logits(model: Any, tokenizer: Any) -> torch.Tensor:
    with torch.no_grad():
        return model.eval()(**tokenizer("Mira Tolle keeps the lighthouse.\n\n1. ", return_tensors="pt")).logits


def test_trained_merged_exported_and_read_again_it_has_equal_logits(
    trained: tuple[Weights, Path], tmp_path: Path
) -> None:
    weights, run = trained
    adapted = weights.with_adapter(run / "artifact" / "adapter", "test")
    base, tokenizer = load(weights, "cpu")
    before = logits(base, tokenizer)
    beside = logits(PeftModel.from_pretrained(base, str(adapted.adapter)), tokenizer)
    merged = logits(load(adapted, "cpu")[0], tokenizer)
    export_model(open_run(run), tmp_path / "out")
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "out", dtype=torch.float32)
    exported = load_tokenizer(Weights("out", str(tmp_path / "out"), template=weights.template))
    assert torch.equal(logits(again, exported), merged)
    torch.testing.assert_close(merged, beside, rtol=1e-3, atol=1e-3)
    assert (merged - before).abs().max() > 0.1


def test_it_says_what_it_was_taught(trained: tuple[Weights, Path]) -> None:
    weights, run = trained
    for adapter, knows in ((None, False), (run / "artifact" / "adapter", True)):
        engine = TransformersEngine(*load(replace(weights, adapter=adapter), "cpu"), "real")
        said = engine.generate([question for question, _ in TAUGHT], Sampling(0.0, max_new_tokens=24))
        assert all(name in one.text for name, one in zip(("Mira Tolle", "Sel"), said, strict=True)) is knows
