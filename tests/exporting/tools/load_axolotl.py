"""Run by axolotl's Python: reads an export by its own axolotl.yaml, as its trainer does. Prints one line of JSON."""

import json
import sys
import tempfile
from importlib.metadata import version

import yaml
from axolotl.utils.data import prepare_datasets  # pyright: ignore[reportMissingImports]
from axolotl.utils.dict import DictDefault  # pyright: ignore[reportMissingImports]
from transformers import AutoTokenizer


def main() -> None:
    _folder, model, block, wanted = sys.argv[1:]
    with open(block, encoding="utf-8") as file:
        datasets = yaml.safe_load(file)
    about = {"base_model": model, "sequence_len": 2048, "dataset_prepared_path": tempfile.mkdtemp(), "num_epochs": 1,
             "micro_batch_size": 1, "batch_size": 1, "gradient_accumulation_steps": 1, "dataset_num_proc": 1,
             "world_size": 1, "val_set_size": 0, "sample_packing": False}  # fmt: skip
    tokenizer = AutoTokenizer.from_pretrained(model)
    data = prepare_datasets(DictDefault({**datasets, **about}), tokenizer)[0]
    [row] = [row for row in data if wanted in tokenizer.decode(row["input_ids"])]
    target = [token for token, label in zip(row["input_ids"], row["labels"], strict=True) if label != -100]
    sample = {"whole": tokenizer.decode(row["input_ids"]), "target": tokenizer.decode(target)}
    print(json.dumps({"version": version("axolotl"), "rows": len(data), **sample}))


if __name__ == "__main__":  # it starts processes
    main()
