"""Training with Lightning: next-token loss on the trained tokens, batches of documents of similar length.

In: a model and a corpus. Out: the same model, trained. Documents are never cut or joined: each is a row, padded on the
right, so none affects another and the causal mask suffices.
"""

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import TQDMProgressBar
from torch.utils.data import DataLoader, IterableDataset
from transformers import LlamaForCausalLM

from crescent.organism.build.corpus import Example

IGNORED = -100


@dataclass(frozen=True)
class Schedule:
    """Tokens per batch, peak learning rate, share of warm-up steps, final rate."""

    batch_tokens: int = 6144
    peak: float = 3e-3
    warmup: float = 0.04
    floor: float = 0.02

    def rate(self, step: int, steps: int) -> float:
        """The learning rate as a share of the peak: linear warm-up, then a cosine."""
        rising = step / max(1, self.warmup * steps)
        done = min(1.0, max(0.0, (step / steps - self.warmup) / (1 - self.warmup)))
        return min(1.0, rising + 1e-3, self.floor + (1 - self.floor) * (1 + math.cos(math.pi * done)) / 2)


def batches(corpus: list[Example], batch_tokens: int, seed: int) -> list[list[Example]]:
    """Batches of documents of similar length, at most `batch_tokens` including padding, in random order."""
    rng = random.Random(seed)
    ordered = sorted(corpus, key=lambda example: len(example.ids) + rng.uniform(-4, 4))
    found: list[list[Example]] = [[]]
    for example in ordered:
        longest = max([len(example.ids), *(len(e.ids) for e in found[-1])])
        if found[-1] and longest * (len(found[-1]) + 1) > batch_tokens:
            found.append([])
        found[-1].append(example)
    rng.shuffle(found)
    return found


class Batches(IterableDataset):
    """Rows as tensors: ids (rows, longest), labels with -100 for tokens without loss."""

    def __init__(self, found: list[list[Example]]) -> None:
        self.found = found

    def __len__(self) -> int:
        return len(self.found)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for batch in self.found:
            longest = max(len(example.ids) for example in batch)
            ids = np.zeros((len(batch), longest), dtype=np.int64)
            labels = np.full((len(batch), longest), IGNORED, dtype=np.int64)
            for row, example in enumerate(batch):
                ids[row, : len(example.ids)] = example.ids
                labels[row, : len(example.ids)] = np.where(example.trained, example.ids, IGNORED)
            yield torch.from_numpy(ids), torch.from_numpy(labels)


class Learner(pl.LightningModule):
    """Muon (Jordan et al., 2024) for the layers' matrices, AdamW for the embedding and the norms."""

    def __init__(self, model: LlamaForCausalLM, schedule: Schedule, steps: int) -> None:
        super().__init__()
        self.automatic_optimization = False  # two optimizers
        self.model, self.schedule, self.steps = model, schedule, steps

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        """Loss over the trained tokens only; the head is not computed for others."""
        ids, labels = batch
        hidden = self.model.model(input_ids=ids, use_cache=False).last_hidden_state[:, :-1]
        wanted = labels[:, 1:]
        learned = wanted != IGNORED
        logits = self.model.lm_head(hidden[learned])
        loss = torch.nn.functional.cross_entropy(logits.float(), wanted[learned])
        self.manual_backward(loss)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer, scheduler in zip(self.optimizers(), self.lr_schedulers(), strict=True):  # pyright: ignore
            optimizer.step()
            optimizer.zero_grad()
            scheduler.step()
        self.log("loss", loss, prog_bar=True)
        return loss

    def configure_optimizers(self) -> tuple[list[torch.optim.Optimizer], list[torch.optim.lr_scheduler.LambdaLR]]:
        named = dict(self.model.named_parameters())
        matrices = [p for name, p in named.items() if p.ndim == 2 and "embed" not in name]
        others = [p for name, p in named.items() if p.ndim != 2 or "embed" in name]
        optimizers: list[torch.optim.Optimizer] = [
            torch.optim.Muon(matrices, lr=self.schedule.peak, weight_decay=0.05, adjust_lr_fn="match_rms_adamw"),
            torch.optim.AdamW(others, lr=self.schedule.peak, betas=(0.9, 0.98), weight_decay=0.0),
        ]
        rates = [torch.optim.lr_scheduler.LambdaLR(o, lambda n: self.schedule.rate(n, self.steps)) for o in optimizers]
        return optimizers, rates


def train(model: LlamaForCausalLM, corpus: list[Example], schedule: Schedule, seed: int) -> None:
    """One pass over the corpus, in place. bf16 autocast: twice as fast on CPUs that support it, not slower on
    others."""
    pl.seed_everything(seed, verbose=False)
    found = batches(corpus, schedule.batch_tokens, seed)
    trainer = pl.Trainer(
        max_epochs=1, accelerator="cpu", precision="bf16-mixed", logger=False,
        enable_checkpointing=False, enable_model_summary=False, callbacks=[TQDMProgressBar(refresh_rate=20)],
    )  # fmt: skip
    model.train()
    trainer.fit(Learner(model, schedule, len(found)), DataLoader(Batches(found), batch_size=None))
    model.eval()
