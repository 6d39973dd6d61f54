"""Micro-batches that fit in memory, chosen before training."""

from dataclasses import replace
from typing import Any

import pytest
from transformers import LlamaConfig

from crescent.training import fitting
from crescent.training.estimate import Corpus, estimate
from crescent.training.fitting import SHARE, fit
from crescent.training.methods import Lora
from crescent.training.settings import TrainSettings

SETTINGS = TrainSettings(
    name="lora", method=Lora(rank=4, alpha=8, dropout=0.0, target_modules="all-linear"), learning_rate=0.01, epochs=1,
    batch_size=64, max_length=512, schedule="cosine", warmup_ratio=0.1, weight_decay=0.0, max_grad_norm=1.0, seed=0,
    precision="32-true", micro_batch_tokens=32768, checkpoint_every=2,
)  # fmt: skip
CONFIG = LlamaConfig(
    vocab_size=4096, hidden_size=256, intermediate_size=512, num_hidden_layers=4, num_attention_heads=4,
    num_key_value_heads=2,
)  # fmt: skip
PARAMETERS, LENGTHS = 4_000_000, [100 + 6 * n for n in range(64)]


def needed(settings: TrainSettings) -> int:
    return estimate(CONFIG, settings, Corpus.of(LENGTHS), "cpu", "float32").total


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_micro_batches_are_made_as_large_as_fits(share: float) -> None:
    free = int(share * needed(SETTINGS))
    fitted, about = fit(SETTINGS, CONFIG, PARAMETERS, LENGTHS, "cpu", "float32", free)
    assert (
        fitted.micro_batch_tokens < SETTINGS.micro_batch_tokens
        and replace(fitted, micro_batch_tokens=SETTINGS.micro_batch_tokens) == SETTINGS
    )
    assert 0.8 * SHARE * free <= needed(fitted) <= SHARE * free
    assert about is not None and about.startswith(f"micro-batches of {fitted.micro_batch_tokens:,} tokens: ")


def test_where_one_sequence_does_not_fit_it_is_tried_alone() -> None:
    fitted, about = fit(SETTINGS, CONFIG, PARAMETERS, LENGTHS, "cpu", "float32", free=1 << 20)
    assert fitted.micro_batch_tokens == max(LENGTHS) and about is not None


def test_what_fits_is_left_as_it_is() -> None:
    assert fit(SETTINGS, CONFIG, PARAMETERS, LENGTHS, "cpu", "float32", 2 * needed(SETTINGS)) == (SETTINGS, None)


def test_a_small_training_costs_no_estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*given: Any) -> None:
        raise AssertionError("an estimate takes seconds")

    monkeypatch.setattr(fitting, "estimate", fail)
    free = 100 * needed(SETTINGS)
    assert fit(SETTINGS, CONFIG, PARAMETERS, LENGTHS, "cpu", "float32", free) == (SETTINGS, None)
