"""Two small file-backed tasks, and a tiny random model as an engine and as the harness runs it."""

import json
from pathlib import Path
from typing import Any

import pytest
from lm_eval.models.huggingface import HFLM

from crescent.engines.transformers.engine import TransformersEngine

TASK = """\
task: tiny_gsm
dataset_path: json
dataset_kwargs:
  data_files: {train: data/train.jsonl, test: data/test.jsonl}
training_split: train
fewshot_split: train
test_split: test
output_type: generate_until
doc_to_text: "Question: {{question}}\\nAnswer:"
doc_to_target: "{{answer}}"
generation_kwargs: {until: ["Question:", "efu"], do_sample: false, temperature: 0.0, max_gen_toks: 60}
metric_list:
  - {metric: exact_match, aggregation: mean, higher_is_better: true, regexes_to_ignore: [",", "(?s).*#### "]}
filter_list:
  - name: strict-match
    filter: [{function: regex, regex_pattern: "#### (\\\\-?[0-9\\\\.\\\\,]+)"}, {function: take_first}]
  - name: flexible-extract
    filter:
      - {function: regex, group_select: -1, regex_pattern: "(-?[$0-9.,]{2,})|(-?[0-9]+)"}
      - {function: take_first}
metadata: {version: 1.0}
"""
CHOICE = """\
task: tiny_choice
dataset_path: json
dataset_kwargs:
  data_files: {train: data/train.jsonl, test: data/test.jsonl}
training_split: train
fewshot_split: train
test_split: test
output_type: multiple_choice
doc_to_text: "{{question}}"
doc_to_target: "{{choices.index(answer)}}"
doc_to_choice: "{{choices}}"
metric_list:
  - {metric: acc, aggregation: mean, higher_is_better: true}
  - {metric: acc_norm, aggregation: mean, higher_is_better: true}
metadata: {version: 1.0}
"""
SUMS = """\
task: sums
dataset_path: json
dataset_kwargs: {data_files: {train: items.jsonl, test: items.jsonl}}
fewshot_split: train
test_split: test
output_type: generate_until
doc_to_text: "{{question}}"
doc_to_target: "{{answer}}"
generation_kwargs: {until: [], do_sample: false, max_gen_toks: 4}
metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true}]
"""


def rows(count: int, offset: int) -> list[dict]:
    """Items of different lengths, with a field that no template uses."""
    made = []
    for number in range(offset, offset + count):
        question = "Tom has 12 apples. " * (number % 4) + f"Ann gives {number} to Tom. How many apples are left?"
        choices = [str(number % 5), str(number + 10), f"{number + 5} apples"]
        made.append({"question": question, "answer": choices[0], "choices": choices, "family": f"kind {number % 2}"})
    return made


def write_rows(path: Path, items: list[dict]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(item) + "\n" for item in items), encoding="utf-8")


@pytest.fixture
def task_folder(tmp_path: Path) -> Path:
    """A folder with two tasks, tiny_gsm and tiny_choice, of 8 training and 20 test items."""
    folder = tmp_path / "tasks"
    folder.mkdir()
    (folder / "tiny_gsm.yaml").write_text(TASK, encoding="utf-8")
    (folder / "tiny_choice.yaml").write_text(CHOICE, encoding="utf-8")
    write_rows(folder / "data" / "train.jsonl", rows(8, 100))
    write_rows(folder / "data" / "test.jsonl", rows(20, 0))
    return folder


@pytest.fixture(scope="session")
def plain(engine: TransformersEngine) -> Any:
    """The same model as the harness itself would run it."""
    build: Any = HFLM
    return build(pretrained=engine.model, tokenizer=engine.tokenizer, batch_size=4)
