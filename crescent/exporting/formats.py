"""The files in which pairs leave Crescent: a Hugging Face data set, or what a training tool reads.

In: a run's pairs. Out: files in a new folder, and the lines that load them. Every format is also a data set that
`datasets.load_dataset(FOLDER)` reads, because its card names the file.

    parquet       data/train-KEY.parquet: one row for each pair, with its votes
    trl           data/train-KEY.parquet: prompt and completion as messages (SFTTrainer: loss on the completion)
    llamafactory  crescent-KEY.jsonl with instruction and output, and dataset_info.json
    axolotl       crescent-KEY.jsonl with messages, and axolotl.yaml with the `datasets:` block
    preference    data/train-KEY.parquet: prompt, chosen and rejected as messages, with margin (TRL's DPOTrainer)

KEY is a hash of the rows: `datasets` caches a folder by its name and its card, not by its files, so with a fixed file
name a second export of the same name would be read from the cache of the first.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from crescent.core.records import QAPair, text_id
from crescent.exporting.finished import FinishedRun
from crescent.exporting.preferences import preferences

PARQUET, LINES = "data/train-{key}.parquet", "crescent-{key}.jsonl"
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Format:
    """`rows` makes the rows of the data file, whose name contains {key}; `extra` makes further files by name, for the
    name of the data file. `usage` is how a reader loads the folder ({folder}). `fields` describes the columns."""

    rows: Callable[[FinishedRun, Sequence[QAPair]], list[Row]]
    data_file: str
    fields: Mapping[str, str]
    usage: str
    extra: Callable[[str], Mapping[str, str]] = lambda _name: {}

    def write(self, run: FinishedRun, pairs: Sequence[QAPair], folder: Path) -> tuple[str, int]:
        """Writes the data file and the extra ones; returns the data file's name and its number of rows."""
        rows = self.rows(run, pairs)
        lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
        name = self.data_file.format(key=text_id(*lines))
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.suffix == ".parquet":
            from datasets import Dataset

            Dataset.from_list([dict(row) for row in rows]).to_parquet(target)
        else:
            target.write_text("".join(lines), encoding="utf-8")
        for other, content in self.extra(name).items():
            (folder / other).write_text(content, encoding="utf-8")
        return name, len(rows)


def _flat(_run: FinishedRun, pairs: Sequence[QAPair]) -> list[Row]:
    return [asdict(pair) for pair in pairs]


def _prompt_completion(_run: FinishedRun, pairs: Sequence[QAPair]) -> list[Row]:
    return [{"prompt": _user(pair.question), "completion": _assistant(pair.response)} for pair in pairs]


def _instructions(_run: FinishedRun, pairs: Sequence[QAPair]) -> list[Row]:
    return [{"instruction": pair.question, "input": "", "output": pair.response} for pair in pairs]


def _conversations(_run: FinishedRun, pairs: Sequence[QAPair]) -> list[Row]:
    return [{"messages": [*_user(pair.question), *_assistant(pair.response)]} for pair in pairs]


def _preferred(run: FinishedRun, pairs: Sequence[QAPair]) -> list[Row]:
    return [
        {
            "prompt": _user(one.pair.question),
            "chosen": _assistant(one.pair.response),
            "rejected": _assistant(one.rejected),
            "margin": one.loser.margin,
            "question_id": one.pair.question_id,
            "chosen_answer": one.pair.answer,
            "rejected_answer": one.loser.answer,
            "chosen_votes": one.pair.votes,
            "rejected_votes": one.loser.votes,
            "draws": one.pair.draws,
        }
        for one in preferences(run, pairs)
    ]


def _user(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def _assistant(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]


def _dataset_info(name: str) -> dict[str, str]:
    columns = {"prompt": "instruction", "query": "input", "response": "output"}
    info = {"crescent": {"file_name": name, "columns": columns}}
    return {"dataset_info.json": json.dumps(info, indent=2) + "\n"}


def _axolotl_block(name: str) -> dict[str, str]:
    return {"axolotl.yaml": _AXOLOTL.format(name=name)}


_AXOLOTL = """\
# The part of an axolotl configuration that reads these pairs; add base_model, adapter and the rest. The path is
# relative to the folder that axolotl is started in.
datasets:
  - path: {name}
    ds_type: json
    type: chat_template
    field_messages: messages
    roles_to_train: [assistant]   # the loss is on the responses and their end of turn
    train_on_eos: turn
chat_template: tokenizer_default
"""
_MESSAGES = {"prompt": "the question, as a user's message"}
_DATASETS = "from datasets import load_dataset\n\npairs = load_dataset({folder!r}, split='train')"

FORMATS: Mapping[str, Format] = {
    "parquet": Format(
        _flat,
        PARQUET,
        {
            "question_id": "hash of the question's text",
            "question": "the question, as the student is asked it",
            "response": "the response that the student learns",
            "answer": "the answer that won the vote, in canonical form",
            "votes": "draws with that answer",
            "draws": "draws of the question",
            "agreement": "votes / draws",
        },
        _DATASETS,
    ),
    "trl": Format(
        _prompt_completion,
        PARQUET,
        {**_MESSAGES, "completion": "the response, as an assistant's message"},
        f"{_DATASETS}\n\nfrom trl import SFTTrainer\n\nSFTTrainer(model=..., train_dataset=pairs).train()",
    ),
    "llamafactory": Format(
        _instructions,
        LINES,
        {"instruction": "the question", "input": "empty", "output": "the response"},
        "# in LLaMA-Factory's YAML\ndataset_dir: {folder}\ndataset: crescent",
        _dataset_info,
    ),
    "axolotl": Format(
        _conversations,
        LINES,
        {"messages": "the question and the response, as a user's and an assistant's message"},
        "# axolotl.yaml in this folder has the `datasets:` block\naxolotl train my_config.yaml",
        _axolotl_block,
    ),
    "preference": Format(
        _preferred,
        PARQUET,
        {
            **_MESSAGES,
            "chosen": "the response that won the vote",
            "rejected": "a response with another answer: of the losing answers, the one with the fewest votes",
            "margin": "(chosen_votes - rejected_votes) / draws",
            "question_id": "hash of the question's text",
            "chosen_answer": "the answer that won, in canonical form",
            "rejected_answer": "the answer that lost",
            "chosen_votes": "draws with the winning answer",
            "rejected_votes": "draws with the losing answer",
            "draws": "draws of the question",
        },
        f"{_DATASETS}\n\nfrom trl import DPOTrainer\n\nDPOTrainer(model=..., train_dataset=pairs).train()",
    ),
}
