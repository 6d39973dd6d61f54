"""Run by LLaMA-Factory's Python: reads an export as its trainer does. Prints one line of JSON."""

import importlib.machinery
import json
import sys
import types
from typing import Any

# LLaMA-Factory imports torchaudio for models that hear; its wheels do not load beside a CPU build of torch
audio = types.ModuleType("torchaudio")
audio.__spec__ = importlib.machinery.ModuleSpec("torchaudio", None)
sys.modules["torchaudio"] = audio

from llamafactory.data import get_dataset, get_template_and_fix_tokenizer  # noqa: E402 # pyright: ignore
from llamafactory.extras.env import VERSION  # noqa: E402 # pyright: ignore
from llamafactory.hparams import get_train_args  # noqa: E402 # pyright: ignore
from llamafactory.model import load_tokenizer  # noqa: E402 # pyright: ignore

folder, model, template = sys.argv[1:]
arguments: dict[str, Any] = {
    "model_name_or_path": model, "stage": "sft", "do_train": True, "finetuning_type": "lora", "dataset_dir": folder,
    "dataset": "crescent", "template": template, "cutoff_len": 2048, "output_dir": f"{folder}-out", "report_to": "none",
    "overwrite_cache": True, "preprocessing_num_workers": 1, "use_cpu": True,
}  # fmt: skip
model_args, data_args, training_args, _, _ = get_train_args(arguments)
loaded = load_tokenizer(model_args)
tokenizer = loaded["tokenizer"]
shape = get_template_and_fix_tokenizer(tokenizer, data_args)
data = get_dataset(shape, model_args, data_args, training_args, stage="sft", **loaded)["train_dataset"]
row = data[0]
target = [token for token, label in zip(row["input_ids"], row["labels"], strict=True) if label != -100]
sample = {"whole": tokenizer.decode(row["input_ids"]), "target": tokenizer.decode(target)}
print(json.dumps({"version": VERSION, "rows": len(data), **sample}))
