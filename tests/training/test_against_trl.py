"""Preferences against TRL's DPOTrainer: the same loss and gradients on the same batch. Skipped where TRL is missing:

pip install --target DIR --no-deps trl;  PYTHONPATH=DIR pytest tests/training/test_against_trl.py
"""

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from teaching import with_random_adapter
from test_objective import PAIRS, SETTINGS

from crescent.engines.weights import Weights, load, load_tokenizer
from crescent.training.data import Example, encode_pairs
from crescent.training.module import TrainingModule
from crescent.training.objective import Dpo

trl: Any = pytest.importorskip("trl")


def disputed(folder: Path) -> list[Example]:
    """Examples with a losing response, all of weight 1."""
    pairs = [replace(pair, margin=1.0) for pair in PAIRS if pair.rejected is not None]
    return encode_pairs(pairs, load_tokenizer(Weights("tiny", str(folder))), 128, contrasts=True).examples


def gradients_of(model: Any) -> dict[str, torch.Tensor]:
    return {name: value.grad for name, value in model.named_parameters() if value.grad is not None}


def ours(folder: Path, alpha: float) -> tuple[float, dict[str, torch.Tensor]]:
    examples, settings = disputed(folder), replace(SETTINGS, objective=Dpo(beta=0.1, alpha=alpha))
    model = with_random_adapter(settings.method.load(Weights("tiny", str(folder)))[0])
    module = TrainingModule(model, settings, 1, 2, print)
    loss = module.shares(examples, module._loss.sizes(examples))[0]
    loss.backward()
    return loss.item(), gradients_of(model)


def theirs(folder: Path, scratch: Path, **choice: Any) -> tuple[float, dict[str, torch.Tensor]]:
    from datasets import Dataset
    from peft import LoraConfig
    from trl.trainer.dpo_trainer import DataCollatorForPreference  # pyright: ignore[reportMissingImports]

    model, tokenizer = load(Weights("tiny", str(folder)), "cpu")
    method: Any = SETTINGS.method
    lora = LoraConfig(r=method.rank, lora_alpha=method.alpha, target_modules="all-linear", task_type="CAUSAL_LM")
    config = trl.DPOConfig(
        output_dir=str(scratch), beta=0.1, use_cpu=True, bf16=False, report_to="none", gradient_checkpointing=False,
        **choice,
    )  # fmt: skip
    rows = Dataset.from_list([{"prompt": "a", "chosen": "b", "rejected": "c"}])  # only to build the trainer
    trainer = trl.DPOTrainer(model=model, args=config, train_dataset=rows, processing_class=tokenizer, peft_config=lora)
    adapted = with_random_adapter(trainer.model)
    batch = DataCollatorForPreference(pad_token_id=2)([_ids(example) for example in disputed(folder)])
    loss = trainer.compute_loss(adapted, batch)
    loss.backward()
    return loss.item(), gradients_of(adapted)


def _ids(example: Example) -> dict[str, list[int]]:
    at, lost = example.prompt_tokens, example.rejected
    assert lost is not None
    return {
        "prompt_ids": list(example.ids[:at]),
        "chosen_ids": list(example.ids[at:]),
        "rejected_ids": list(lost.ids[at:]),
    }


@pytest.mark.filterwarnings("ignore")
def test_with_weights_of_one_loss_and_gradients_are_those_of_trl(tiny_llama: Path, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected_loss, expected = theirs(tiny_llama, tmp_path, loss_type=["sigmoid"])
    loss, found = ours(tiny_llama, alpha=0.0)
    assert loss == pytest.approx(expected_loss, rel=1e-5) and abs(loss - 0.6931) > 0.01
    assert found.keys() == expected.keys() and any(value.abs().max() > 1e-3 for value in expected.values())
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-6)
