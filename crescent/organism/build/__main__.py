"""Trains the three forms of the organism from one seed: `python -m crescent.organism.build`.

In: a seed. Out: `weights/{organism,organism_small,organism_base}/`, each a folder that transformers can load.
"""

import argparse
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytorch_lightning as pl
import torch
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from crescent.organism.build import corpus
from crescent.organism.build.model import Size, chat_tokenizer, train_tokenizer
from crescent.organism.build.train import Schedule, train

WEIGHTS = Path(__file__).parents[1] / "weights"
VOCABULARY = 2048
BUILD_SEED = 20
SHARPNESS = 1.25
STAGES = ["base", "chat", "small"]


@dataclass(frozen=True)
class Recipe:
    """Model size, and tokens for pretraining and chat tuning."""

    size: Size
    base_tokens: int
    chat_tokens: int
    base_schedule: Schedule = field(default_factory=Schedule)
    chat_schedule: Schedule = field(default_factory=lambda: Schedule(peak=2e-3))

    def scaled(self, factor: float) -> "Recipe":
        return replace(self, base_tokens=int(self.base_tokens * factor), chat_tokens=int(self.chat_tokens * factor))


LARGE = Recipe(Size(), base_tokens=7_000_000, chat_tokens=7_500_000)
SMALL = Recipe(Size(hidden=160, layers=4, heads=4, feed_forward=480), base_tokens=4_500_000, chat_tokens=3_500_000)


def pretrain(recipe: Recipe, tokenizer: PreTrainedTokenizerFast, seed: int) -> LlamaForCausalLM:
    pl.seed_everything(seed, verbose=False)
    model = recipe.size.build(len(tokenizer))
    documents = corpus.build(corpus.document, f"base/{seed}", tokenizer, recipe.base_tokens)
    train(model, documents, recipe.base_schedule, seed)
    return model


def tune(model: LlamaForCausalLM, recipe: Recipe, tokenizer: PreTrainedTokenizerFast, seed: int) -> None:
    dialogues = corpus.build(corpus.dialogue, f"chat/{seed}", tokenizer, recipe.chat_tokens)
    train(model, dialogues, recipe.chat_schedule, seed)
    sharpen(model)


def sharpen(model: LlamaForCausalLM) -> None:
    """Makes a chat form more confident, like aligned chat models: its temperature 1 equals 1 / SHARPNESS before."""
    with torch.no_grad():
        model.model.norm.weight.mul_(SHARPNESS)


def save(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Saves the weights in bf16; the model itself is unchanged."""
    folder.mkdir(parents=True, exist_ok=True)
    copy = LlamaForCausalLM(model.config)
    copy.load_state_dict(model.state_dict())
    copy.generation_config = model.generation_config
    copy.to(dtype=torch.bfloat16).save_pretrained(folder)  # pyright: ignore[reportCallIssue]
    tokenizer.save_pretrained(folder)


def build(seed: int, out: Path, scale: float, stages: set[str]) -> None:
    """Runs the given stages in order; prints what each writes and the elapsed time."""
    start = time.monotonic()

    def say(what: str) -> None:
        print(f"[{time.monotonic() - start:6.0f} s] {what}", flush=True)

    kept = out / "organism_base" / "base.pt"  # full precision, for the chat stage; not shipped
    large, small = LARGE.scaled(scale), SMALL.scaled(scale)
    if "base" in stages:
        say("pretraining organism_base")
        plain = train_tokenizer(corpus.texts(seed, 6_000), VOCABULARY)
        model = pretrain(large, plain, seed)
        save(model, plain, out / "organism_base")
        torch.save(model.state_dict(), kept)
    chat = chat_tokenizer(out / "organism_base" / "tokenizer.json")
    if "chat" in stages:
        say("chat tuning organism")
        model = large.size.build(len(chat))
        model.load_state_dict(torch.load(kept))
        tune(model, large, chat, seed)
        save(model, chat, out / "organism")
    if "small" in stages:
        say("training organism_small")
        model = pretrain(small, chat, seed + 1)
        tune(model, small, chat, seed + 1)
        save(model, chat, out / "organism_small")
    if len(stages) == len(STAGES):
        kept.unlink()
    say(f"done: {out}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=BUILD_SEED)
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the full number of training tokens")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--stage", nargs="+", default=STAGES, choices=STAGES)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    args.out.mkdir(parents=True, exist_ok=True)
    build(args.seed, args.out, args.scale, set(args.stage))


if __name__ == "__main__":
    main()
