"""Training tokens per second against TRL's SFTTrainer, on the same model and pairs, the same steps, in one process.

    pip install trl;  [CRESCENT_BENCHMARKS=DIR] python tests/bench/train_against_trl.py [--data organism|gsm8k]
                      [--model organism|smollm2] [--batch 32] [--steps 8] [--rounds 3]

LoRA of the model, 32 sequences a step, one epoch, float32, fused AdamW, loss on the response only. TRL is given
its own choices: padded in random order, grouped by length, and without padding (its packed row with positions per
sequence, the sequences of a step kept together so that steps are equal). Both get token ids and labels; seconds are
those of the processor on one thread for the training call, so that other work on the machine does not count. The last
line compares our default and our best with the best of TRL, paired by round.
"""

import argparse
import random
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import geometric_mean
from typing import Any

import torch
from training_data import LORA, MODELS, SETTINGS, examples

from crescent.core.console import Console
from crescent.engines.weights import Weights, load
from crescent.training.batching import Packed, Padded
from crescent.training.data import Example
from crescent.training.loop import train
from crescent.training.settings import TrainSettings


def ours(
    batching: Padded | Packed, weights: Weights, settings: TrainSettings, data: list[Example]
) -> tuple[float, float]:
    """(seconds, loss of the last step)."""
    torch.manual_seed(0)
    model, _ = LORA.load(weights)
    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        steps = train(model, data, 0, replace(settings, batching=batching), Path(folder), Console(quiet=True))
        return time.process_time() - start, steps[-1].loss


def theirs(weights: Weights, settings: TrainSettings, data: list[Example], **choice: Any) -> tuple[float, float]:
    """(seconds, mean loss). TRL logs no loss by step here, as logging costs time."""
    from datasets import Dataset
    from peft import LoraConfig
    from trl import SFTConfig, SFTTrainer  # pyright: ignore[reportMissingImports, reportPrivateImportUsage]

    torch.manual_seed(0)
    model, tokenizer = load(weights, "cpu")
    lora = LoraConfig(r=LORA.rank, lora_alpha=int(LORA.alpha), target_modules="all-linear", task_type="CAUSAL_LM")
    rows = Dataset.from_list([{"input_ids": list(e.ids), "labels": list(e.labels)} for e in data])
    with tempfile.TemporaryDirectory() as folder:
        config = SFTConfig(
            output_dir=folder, per_device_train_batch_size=settings.batch_size, num_train_epochs=1, use_cpu=True,
            bf16=False, learning_rate=settings.learning_rate, lr_scheduler_type="cosine", optim="adamw_torch_fused",
            max_grad_norm=1.0, report_to="none", save_strategy="no", logging_strategy="no", disable_tqdm=True,
            gradient_checkpointing=False, max_length=None, dataloader_num_workers=0, **choice,
        )  # fmt: skip
        trainer: Any = SFTTrainer(
            model=model, args=config, train_dataset=rows, processing_class=tokenizer, peft_config=lora
        )
        start = time.process_time()
        found = trainer.train()
        assert found.global_step == -(-len(data) // settings.batch_size)
        return time.process_time() - start, found.training_loss


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=["organism", "gsm8k"], default="organism")
    parser.add_argument("--model", choices=MODELS, default="organism")
    parser.add_argument("--batch", type=int, default=32, help="sequences a step")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    weights, settings = MODELS[options.model], replace(SETTINGS, batch_size=options.batch)
    data = examples(options.data, options.batch * options.steps, weights)
    tokens = sum(len(example.ids) for example in data)
    contenders: dict[str, Callable[[list[Example]], tuple[float, float]]] = {
        "TRL padded": partial(theirs, weights, settings),
        "TRL grouped by length": partial(theirs, weights, settings, train_sampling_strategy="group_by_length"),
        "TRL padding-free": partial(theirs, weights, settings, padding_free=True),
        "Crescent grouped (default)": partial(ours, Padded(16), weights, settings),
        "Crescent packed": partial(ours, Packed(1), weights, settings),
    }
    for contender in contenders.values():
        contender(data[: 2 * options.batch])  # what is slow once
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(options.rounds):
        for name in random.Random(turn).sample(list(contenders), len(contenders)):
            seconds[name].append(contenders[name](data)[0])
            print(f"  round {turn}, {name}: {seconds[name][-1]:.1f} s", file=sys.stderr, flush=True)
    best = min((name for name in contenders if name.startswith("TRL")), key=lambda name: sum(seconds[name]))
    print(f"{options.model}, {options.data}: {len(data)} pairs, {tokens / len(data):.0f} tokens each")
    print(f"| | tokens/CPU s (median) | times {best} (range) |")
    print("|---|---|---|")
    for name, found in seconds.items():
        ratios = [base / own for base, own in zip(seconds[best], found, strict=True)]
        rate = tokens / sorted(found)[len(found) // 2]
        print(f"| {name} | {rate:,.0f} | {geometric_mean(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) |")


if __name__ == "__main__":
    main()
