"""The tables of a W&B run: an artifact's records, and the samples of a scored task.

In: an artifact, and the maximum number of rows. Out: `Table`s. All have the column `question_id`, by which W&B joins
them, also across runs: equal texts have equal ids.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

from crescent.contamination.stage import HITS
from crescent.core.records import BALLOTS, Ballot, Decision, Hit, QAPair, Question, decode_lines
from crescent.core.store import RECORDS, Artifact
from crescent.dedup.stage import DECISIONS
from crescent.evaluation.stage import read_samples

ID = "question_id"
SAMPLE_COLUMNS = (ID, "task", "item", "fields", "response", "answers", "target")
FILES = (
    ("questions", ("diversify", "rewrite", "seeds", "given"), RECORDS, Question),
    ("decisions", ("diversify",), DECISIONS, Decision),
    ("contamination", ("decontaminate",), HITS, Hit),
    ("votes", ("vote",), BALLOTS, Ballot),
    ("pairs", ("vote",), RECORDS, QAPair),
    ("selected", ("select",), RECORDS, QAPair),
)
"""(name of the table, stages, file in their artifact, kind of record). Other stages have no table, only counts."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table to be logged under `name`."""

    name: str
    columns: tuple[str, ...]
    rows: list[Any]


def tables_of(made: Artifact, most: int) -> Iterator[Table]:
    """The first `most` records of each of an artifact's files that has any."""
    for name, stages, file, kind in FILES:
        if made.stage not in stages or not (made.path / file).exists():
            continue
        with open(made.path / file, encoding="utf-8") as lines:
            rows = [asdict(record) for record in islice(decode_lines(kind, lines), most)]
        if rows:
            columns = tuple(ID if column == "id" else column for column in rows[0])
            yield Table(name, columns, [[_cell(value) for value in row.values()] for row in rows])


def samples_of(scored: Artifact, model: str, most: int) -> Table | None:
    """The first `most` responses of `model` to a task's items; None if none were kept."""
    rows = list(islice(read_samples(scored), most))
    if not rows:
        return None
    metrics = sorted({name for row in rows for name in row["metrics"]})
    data = []
    for row in rows:
        task, item = row["task"], row["doc_id"]
        texts = (_text(row[name]) for name in ("doc", "response", "filtered", "target"))
        data.append([f"{task}/{item}", task, item, *texts, *map(row["metrics"].get, metrics)])
    name = f"samples/{model}/{scored.info['task']}/{scored.info['shots']}"
    return Table(name, (*SAMPLE_COLUMNS, *metrics), data)


def _cell(value: Any) -> Any:
    return ", ".join("-" if item is None else str(item) for item in value) if isinstance(value, list | tuple) else value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
