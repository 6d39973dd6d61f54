"""Reads questions, and pairs, that a user brings: JSON lines, a JSON list, parquet, or a data set.

In: a path or the id of a data set on the hub, and the names of its fields ("auto": the usual ones). Out: `Given`s in
their order, or a UserError that names file, line and problem. Rows that repeat an earlier one are left out.

    {"question": ..., "answer": ...}           {"prompt": ..., "response": ...}      {"instruction": ..., "output": ...}
    {"messages": [{"role": "user", "content": ...}, {"role": "assistant", "content": ...}]}
    {"conversations": [{"from": "human", "value": ...}, {"from": "gpt", "value": ...}]}
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from crescent.core.errors import UserError
from crescent.core.records import text_id
from crescent.core.utf8_lines import utf8_lines

AUTO = "auto"
QUESTIONS = ("question", "prompt", "instruction", "problem", "query", "messages", "conversations")
RESPONSES = ("response", "completion", "output", "solution", "answer", "messages", "conversations")
ROLES = {"human": "user", "gpt": "assistant"}  # ShareGPT's names
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Given:
    """One row. `response` is "" where only questions are read; `answer` is the text of an answer field beside it."""

    question: str
    response: str = ""
    answer: str = ""


@dataclass(frozen=True, slots=True)
class Where:
    """Where rows come from, and the names of their fields. `split` and `subset` select a part of a data set.
    `response_field` None: only questions are read."""

    data: str
    question_field: str = AUTO
    response_field: str | None = None
    split: str = "train"
    subset: str | None = None

    @property
    def name(self) -> str:
        """The file or data set, without its folders."""
        return Path(self.data).name if Path(self.data).expanduser().exists() else self.data

    def read(self) -> tuple[Given, ...]:
        """All rows, without repetitions. Raises UserError."""
        path = Path(self.data).expanduser()
        stamp = (path.stat().st_size, path.stat().st_mtime_ns) if path.is_file() else (0, 0)
        return _read(self, stamp)


@lru_cache(maxsize=4)  # checks, keys and the stage read the same file
def _read(where: Where, _stamp: tuple[int, int]) -> tuple[Given, ...]:
    found = dict.fromkeys(_given(row, place, where) for place, row in _rows(where))
    if not found:
        raise UserError(f"source.data: {where.data} has no rows")
    return tuple(found)


def content_key(given: tuple[Given, ...]) -> str:
    """Identifies the rows, whatever file they are in."""
    return text_id(*(text for one in given for text in (one.question, one.response, one.answer)))


def _rows(where: Where) -> Iterator[tuple[str, Row]]:
    """(place for messages, row)."""
    path = Path(where.data).expanduser()
    if path.is_dir():
        yield from _of_data_set(where, str(path), streaming=True)  # a cached copy might be of other files
    elif path.suffix == ".parquet" and path.exists():
        yield from _of_parquet(path)
    elif path.suffix == ".json" and path.exists():
        yield from _of_list(path)
    elif path.exists():
        yield from _of_lines(path)
    elif _is_hub_id(where.data):
        yield from _of_data_set(where, where.data, streaming=False)
    else:
        raise UserError(
            f"source.data: there is no file {where.data}; give a .jsonl, .json or .parquet file, the folder of a data "
            "set, or its id on the hub, such as openai/gsm8k"
        )


def _is_hub_id(data: str) -> bool:
    is_path = data.startswith(("/", ".", "~")) or Path(data).suffix in (".jsonl", ".json", ".parquet", ".csv", ".txt")
    return data.count("/") == 1 and not is_path


def _of_lines(path: Path) -> Iterator[tuple[str, Row]]:
    with open(path, "rb") as file:
        for number, line in utf8_lines(file, f"source.data: {path}"):
            place = f"source.data: {path}:{number}"
            try:
                row = json.loads(line)
            except ValueError as error:
                raise UserError(f"{place} is not JSON ({error}); write one JSON object per line") from None
            yield place, _object(row, place)


def _of_list(path: Path) -> Iterator[tuple[str, Row]]:
    text = "\n".join(line for _, line in utf8_lines(path.read_bytes().splitlines(), f"source.data: {path}"))
    try:
        rows = json.loads(text)
    except ValueError as error:
        raise UserError(
            f"source.data: {path} is not JSON ({error}); if it has one object per line, name it .jsonl"
        ) from None
    if not isinstance(rows, list):
        raise UserError(f"source.data: {path} is not a list; a .json file is a list of objects")
    for number, row in enumerate(rows, 1):
        yield f"source.data: {path}, row {number}", _object(row, f"source.data: {path}, row {number}")


def _of_parquet(path: Path) -> Iterator[tuple[str, Row]]:
    import pyarrow
    from pyarrow import parquet

    try:
        rows = parquet.read_table(path).to_pylist()
    except (pyarrow.ArrowException, OSError) as error:
        raise UserError(f"source.data: {path} is not a parquet file ({str(error).splitlines()[0]})") from None
    for number, row in enumerate(rows, 1):
        yield f"source.data: {path}, row {number}", row


def _of_data_set(where: Where, path: str, streaming: bool) -> Iterator[tuple[str, Row]]:
    from datasets import load_dataset

    try:
        rows: Any = load_dataset(path, where.subset, split=where.split, streaming=streaming)
        for number, row in enumerate(rows, 1):
            yield f"source.data: {where.data}, row {number}", row
    except Exception as error:  # the library raises a different class for each reason
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(
            f"source.data: the data set {where.data} (source.subset={where.subset}, source.split={where.split}) cannot "
            f"be read ({reason}). Without a network, give a file"
        ) from None


def _object(row: Any, place: str) -> Row:
    if not isinstance(row, dict):
        raise UserError(f"{place} is {type(row).__name__}, not a JSON object")
    return row


def _given(row: Row, place: str, where: Where) -> Given:
    question_field = _field(row, where.question_field, QUESTIONS, "question", place)
    question = _text(row, question_field, "user", place)
    if question_field == "instruction" and str(row.get("input") or "").strip():
        question = f"{question}\n\n{str(row['input']).strip()}"  # Alpaca's form
    if where.response_field is None:
        return Given(question)
    response_field = _field(row, where.response_field, RESPONSES, "response", place)
    answer = row.get("answer")
    beside = str(answer).strip() if response_field != "answer" and isinstance(answer, str | int | float) else ""
    return Given(question, _text(row, response_field, "assistant", place), beside)


def _field(row: Row, asked: str, usual: tuple[str, ...], what: str, place: str) -> str:
    """The name of the field to read: the one asked for, or the first usual one that the row has."""
    if asked == AUTO:
        found = next((name for name in usual if row.get(name) is not None), None)
    else:
        found = asked if asked in row else None
    if found is None:
        named = f"no field {asked}" if asked != AUTO else f"no {what}"
        fields, some = ", ".join(row) or "none", next(iter(row), "NAME")
        raise UserError(f"{place} has {named}; its fields are: {fields}. Name it, as in source.{what}_field={some}")
    return found


def _text(row: Row, field: str, role: str, place: str) -> str:
    """The text of a field: text, or the turn of `role` in messages."""
    value = row[field]
    text = _turn(value, field, role, place) if isinstance(value, list) else value
    if not isinstance(text, str):
        raise UserError(f"{place}: {field} is {type(text).__name__}, not text")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UserError(
            f"{place}: {field} has half a character ({text[error.start]!r}); fix or remove the row"
        ) from None
    if not text.strip():
        raise UserError(f"{place}: {field} is empty; fix or remove the row")
    return text.strip()


def _turn(messages: list[Any], field: str, role: str, place: str) -> Any:
    """The text of the only turn of a role. Only one question and one response can be trained on."""
    if not all(isinstance(one, Mapping) for one in messages):
        raise UserError(f"{place}: {field} is a list, but not of messages with role and content")
    turns = [(one.get("role") or one.get("from"), one.get("content") or one.get("value")) for one in messages]
    names = [ROLES.get(str(name), str(name)) for name, _ in turns]
    if names not in (["user"], ["assistant"], ["user", "assistant"]):
        raise UserError(
            f"{place}: {field} has the turns {', '.join(names) or 'none'}; it may have one of user and one of assistant"
            ", because training is on single questions"
        )
    if role not in names:
        raise UserError(f"{place}: {field} has no turn of {role}")
    return turns[names.index(role)][1]
