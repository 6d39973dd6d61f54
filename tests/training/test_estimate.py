"""The estimate of a training against the same training done: parameters, steps, and memory as the system counts it."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from transformers import LlamaConfig

from crescent.training.batching import Packed
from crescent.training.estimate import Corpus, Estimate, estimate
from crescent.training.methods import Full, Lora, QLora
from crescent.training.settings import TrainSettings

SETTINGS = TrainSettings(
    name="lora", method=Lora(rank=8, alpha=8, dropout=0.0, target_modules="all-linear"), learning_rate=0.001, epochs=2,
    batch_size=16, max_length=1024, schedule="constant", warmup_ratio=0.0, weight_decay=0.0, max_grad_norm=1.0, seed=0,
    precision="32-true", micro_batch_tokens=4096, checkpoint_every=50, batching=Packed(1),
)  # fmt: skip
SHAPE: dict[str, Any] = {
    "vocab_size": 4000, "hidden_size": 384, "intermediate_size": 1024, "num_hidden_layers": 6, "num_attention_heads": 6,
    "num_key_value_heads": 2,
}  # fmt: skip
CORPUS = Corpus.of([256] * 40)


def small(settings: TrainSettings = SETTINGS, **shape: Any) -> Estimate:
    return estimate(LlamaConfig(**{**SHAPE, **shape}), settings, CORPUS, "cpu")


def test_weights_and_what_is_trained_are_counted_exactly() -> None:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaForCausalLM

    model = get_peft_model(LlamaForCausalLM(LlamaConfig(**SHAPE)), LoraConfig(r=8, target_modules="all-linear"))
    found = small()
    frozen = sum(value.numel() for value in model.parameters() if not value.requires_grad)
    trained = sum(value.numel() for value in model.parameters() if value.requires_grad)
    assert (found.weights, found.adapter, found.optimizer) == (4 * frozen, 4 * trained, 8 * trained)
    assert next(model.parameters()).dtype == torch.float32


def test_steps_and_tokens_are_those_of_the_run() -> None:
    found = small()
    assert found.steps == 2 * 3 and found.tokens == 2 * 40 * 256 and found.micro_batch_tokens == 4096


def test_four_bits_take_about_an_eighth_of_float32() -> None:
    method = QLora(8, 8, 0.0, "all-linear", "nf4", True)
    plain, rounded = small(vocab_size=64), small(replace(SETTINGS, method=method), vocab_size=64)
    assert 0.12 < rounded.weights / plain.weights < 0.15 and rounded.adapter == plain.adapter


def test_checkpointing_keeps_a_fraction_of_the_activations() -> None:
    plain, less = small(), small(replace(SETTINGS, gradient_checkpointing=True))
    assert less.activations < 0.3 * plain.activations and less.weights == plain.weights


def test_full_training_takes_sixteen_bytes_a_parameter_and_devices_share_them() -> None:
    full = small(replace(SETTINGS, method=Full()))
    assert full.gradients == full.weights and full.optimizer == 2 * full.weights and full.adapter == 0
    shared = small(replace(SETTINGS, method=Full(), devices=4, strategy="fsdp"))
    assert shared.optimizer == full.optimizer // 4 and shared.activations < full.activations + 1


MEASURED = """
import json, resource, sys, torch
from pathlib import Path
sys.path[:0] = sys.argv[2:]
import test_estimate
from crescent.core.console import Console
from crescent.training.data import Example
from crescent.training.loop import train
from dataclasses import replace
from transformers import LlamaConfig, LlamaForCausalLM
torch.set_num_threads(1)
settings = replace(test_estimate.SETTINGS, epochs=1, gradient_checkpointing=sys.argv[1] == "True")
model = LlamaForCausalLM(LlamaConfig(**test_estimate.SHAPE))
from crescent.engines.weights import Weights
model = settings.method.adapt(model, Weights("m", "."))
def examples(tokens):
    return [Example(str(n), tuple(3 + (7 * n + i) % 3900 for i in range(tokens)), 1) for n in range(16)]
def now():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()
import tempfile
with tempfile.TemporaryDirectory() as small, tempfile.TemporaryDirectory() as large:
    train(model, examples(4), 0, settings, Path(small), Console(quiet=True))  # libraries and thread pools are there now
    before = now()
    open("/proc/self/clear_refs", "w").write("5")  # the peak begins again
    train(model, examples(256), 0, settings, Path(large), Console(quiet=True))
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps(int(peak.split()[1]) * 1024 - before))
"""


@pytest.mark.slow  # 24 s: two processes that load and train
@pytest.mark.parametrize("checkpointing", [False, True])
def test_activations_are_what_a_process_grows_by(checkpointing: bool) -> None:
    paths = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
    command = [sys.executable, "-c", MEASURED, str(checkpointing), *paths]
    # blocks of any size go back to the system at once, so that what is counted is what is used
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TOP_PAD_": "0"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)
    assert done.returncode == 0, done.stderr
    found = small(replace(SETTINGS, gradient_checkpointing=checkpointing))
    expected = found.activations + found.head + found.gradients + found.optimizer
    print(json.loads(done.stdout) / 1e6, expected / 1e6, found.activations / 1e6, found.head / 1e6)
    assert json.loads(done.stdout) == pytest.approx(expected, rel=0.2)
