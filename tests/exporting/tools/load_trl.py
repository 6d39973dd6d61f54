"""Run by TRL's Python: prepares an export as SFTTrainer or DPOTrainer does. Prints one line of JSON."""

import json
import sys
import tempfile
from typing import Any

import trl  # pyright: ignore[reportMissingImports]
from datasets import load_dataset
from transformers import AutoTokenizer

folder, model, form = sys.argv[1:]
data: Any = load_dataset(folder, split="train")
tokenizer: Any = AutoTokenizer.from_pretrained(model)
config, trainer = {"trl": (trl.SFTConfig, trl.SFTTrainer), "preference": (trl.DPOConfig, trl.DPOTrainer)}[form]
options = config(output_dir=tempfile.mkdtemp(), report_to="none", use_cpu=True, bf16=False, max_length=None)
made: Any = trainer(model=model, args=options, train_dataset=data, processing_class=tokenizer)
row = made.train_dataset[0]
[batch] = [made.data_collator([row])]
if form == "trl":
    ids, labels = batch["input_ids"][0], batch["labels"][0]
    sample = {"whole": tokenizer.decode(ids), "target": tokenizer.decode(ids[labels != -100])}
else:
    parts = {name: batch[name] for name in batch}
    halves = [
        tokenizer.decode(ids[mask.bool()])
        for ids, mask in zip(parts["input_ids"], parts["attention_mask"], strict=True)
    ]
    targets = [
        tokenizer.decode(ids[mask.bool()])
        for ids, mask in zip(parts["input_ids"], parts["completion_mask"], strict=True)
    ]
    sample = {"whole": halves[0], "target": targets[0], "rejected": targets[1]}
print(json.dumps({"version": trl.__version__, "rows": len(made.train_dataset), **sample}))
