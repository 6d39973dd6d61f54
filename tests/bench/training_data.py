"""Pairs and a model that the benches of training share: the organism's own tasks, or GSM8K's training set."""

import json
import os
import random
from pathlib import Path
from typing import Any

import crescent
from crescent.core.cache import models_folder
from crescent.core.records import QAPair
from crescent.engines.weights import Weights, load_tokenizer
from crescent.training.data import Example, encode_pairs
from crescent.training.methods import Lora
from crescent.training.settings import TrainSettings

PACKAGE = Path(crescent.__file__).parent
ORGANISM = Weights("organism", str(PACKAGE / "organism" / "weights" / "organism"))
SMOLLM2 = Weights("smollm2", str(models_folder() / "SmolLM2-135M-Instruct.Q4_1.gguf"))
MODELS = {"organism": ORGANISM, "smollm2": SMOLLM2}
LORA = Lora(rank=16, alpha=32, dropout=0.0, target_modules="all-linear")
SETTINGS = TrainSettings(
    name="bench", method=LORA, learning_rate=1e-3, epochs=1, batch_size=32, max_length=1024, schedule="cosine",
    warmup_ratio=0.05, weight_decay=0.0, max_grad_norm=1.0, seed=0, precision="32-true", micro_batch_tokens=32768,
    checkpoint_every=10_000,
)  # fmt: skip


def pairs(data: str, count: int) -> list[QAPair]:
    """`count` pairs of question and response, drawn at random."""
    if data == "gsm8k":
        file = Path(os.environ["CRESCENT_BENCHMARKS"]) / "gsm8k" / "train.jsonl"
        rows = [(row["question"], row["answer"]) for row in _rows(file)]
    else:
        folder = PACKAGE / "organism" / "tasks" / "data"
        files = [folder / f"organism_{task}.jsonl" for task in ("gsm", "asdiv", "plus")]
        rows = [(row["question"], row["solution"]) for file in files for row in _rows(file)]
    random.Random(0).shuffle(rows)
    return [QAPair(str(n), question, response, "", 1, 1, 1.0) for n, (question, response) in enumerate(rows[:count])]


def examples(data: str, count: int, model: Weights = ORGANISM) -> list[Example]:
    """The same, as token ids of a model."""
    return encode_pairs(pairs(data, count), load_tokenizer(model), SETTINGS.max_length).examples


def _rows(file: Path) -> list[Any]:
    with file.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]
