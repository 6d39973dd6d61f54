"""Target tokens per second of a training run against a bare PyTorch loop that does the same arithmetic.

    python tests/bench/train_speed.py [--steps 40] [--full]

In: a random Llama of about 2 million parameters (hidden 192, 4 layers, 800 tokens) and made-up sequences of 60 to 180
tokens. Out: target tokens per second of CPU time on one thread, from the median step, both alternated three times, and
their ratio (1.00 = no overhead). CPU time and not the clock's, so that other work on the machine does not count.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import cross_entropy
from transformers import LlamaConfig, LlamaForCausalLM

from crescent.core.console import Console
from crescent.training.batch_schedule import plan_steps
from crescent.training.data import IGNORED, Example, collate
from crescent.training.loop import train
from crescent.training.methods import Full, Lora
from crescent.training.settings import TrainSettings


def settings(full: bool) -> TrainSettings:
    lora = Lora(rank=16, alpha=32, dropout=0.0, target_modules="all-linear")
    return TrainSettings(
        name="bench", method=Full() if full else lora, learning_rate=1e-3, epochs=1, batch_size=32, max_length=256,
        schedule="cosine", warmup_ratio=0.05, weight_decay=0.0, max_grad_norm=1.0, seed=0, precision="32-true",
        micro_batch_tokens=32 * 256, checkpoint_every=50,
    )  # fmt: skip


def model(full: bool) -> Any:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=800, hidden_size=192, intermediate_size=512, num_hidden_layers=4, num_attention_heads=6,
        max_position_embeddings=512, tie_word_embeddings=True,
    )  # fmt: skip
    llama = LlamaForCausalLM(config).train()
    if full:
        return llama
    from peft import LoraConfig, get_peft_model

    return get_peft_model(llama, LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"))


def examples(steps: int) -> list[Example]:
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(60, 180, (32 * steps,), generator=generator).tolist()
    ids = [tuple(torch.randint(3, 800, (n,), generator=generator).tolist()) for n in lengths]
    return [Example(str(row), row_ids, len(row_ids) // 3) for row, row_ids in enumerate(ids)]


def ours(full: bool, data: list[Example]) -> list[float]:
    seconds, last = [], [time.process_time()]

    def curve(metrics: Any, step: int) -> None:
        now = time.process_time()
        seconds.append(now - last[0])
        last[0] = now

    with tempfile.TemporaryDirectory() as folder:
        train(model(full), data, 0, settings(full), Path(folder), Console(quiet=True), curve)
    return seconds[1:]


def bare(full: bool, data: list[Example]) -> list[float]:
    net, seconds = model(full), []
    trained = [value for value in net.parameters() if value.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-3, fused=True)
    for step in plan_steps([len(example.ids) for example in data], 32, 1, 0):
        start = time.process_time()
        ids, labels = collate([data[row] for row in step.rows], 0)
        logits = net(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False).logits
        loss = cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=IGNORED)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        loss.item()
        seconds.append(time.process_time() - start)
    return seconds[1:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--full", action="store_true", help="train every weight instead of an adapter")
    options = parser.parse_args()
    torch.set_num_threads(1)
    data = examples(options.steps)
    targets = sum(example.target_tokens for example in data) / options.steps
    rates: dict[str, list[float]] = {"bare": [], "ours": []}
    for _ in range(3):
        for name, loop in (("bare", bare), ("ours", ours)):
            rates[name].append(targets / statistics.median(loop(options.full, data)))
    for name, found in rates.items():
        runs = ", ".join(f"{rate:,.0f}" for rate in found)
        print(f"{name}: {max(found):,.0f} target tokens per CPU second (best of 3: {runs})")
    print(f"ratio ours / bare: {max(rates['ours']) / max(rates['bare']):.2f}")


if __name__ == "__main__":
    main()
