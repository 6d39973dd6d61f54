"""Entries to browse: questions, rejections with their rewrites, votes, and changed answers.

In: a comparison, and the maximum number of entries per kind and configuration. Out: lists of plain dictionaries. For
each configuration the first seed's run is used, with entries spread evenly over all there are. Missing files, for
example in a moved store, only leave lists empty.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crescent.core.records import Ballot, Decision, QAPair, Question, R, decode_lines
from crescent.evaluation.samples import Sample, read
from crescent.reporting.analyse.results import Comparison
from crescent.reporting.analyse.rows import Column, Row, evaluation_of, score_of
from crescent.reporting.read.items import SAMPLES

Entry = dict[str, Any]
TEXT_FIELDS = ("question", "problem", "body", "input", "query", "ctx", "sentence", "prompt")
LONGEST = 4000
"""Maximum characters shown of a text; the store has all of it."""


@dataclass(slots=True)
class Details:
    """Lists by kind, and the total number of entries by kind."""

    questions: list[Entry] = field(default_factory=list)
    rejections: list[Entry] = field(default_factory=list)
    votes: list[Entry] = field(default_factory=list)
    changes: list[Entry] = field(default_factory=list)
    totals: dict[str, int] = field(default_factory=dict)

    def add(self, kind: str, entries: Sequence[Entry], at_most: int) -> None:
        """Adds at most `at_most` of `entries`, spread evenly."""
        self.totals[kind] = self.totals.get(kind, 0) + len(entries)
        getattr(self, kind).extend(spread(entries, at_most))


def collect(comparison: Comparison, at_most: int) -> Details:
    """At most `at_most` entries per kind and configuration; for changes, a share of it per task and direction."""
    details = Details()
    samples = _Reader()
    for row in comparison.students:
        run = row.runs[0]
        folder = run.stage_folder("diversify")
        questions = lines_of(folder, "records.jsonl", Question)
        decisions = lines_of(folder, "decisions.jsonl", Decision)
        details.add("questions", _questions(row, questions, decisions), at_most)
        details.add("rejections", _rejections(row, questions, decisions), at_most)
        voted = run.stage_folder("vote")
        ballots, pairs = lines_of(voted, "ballots.jsonl", Ballot), lines_of(voted, "records.jsonl", QAPair)
        details.add("votes", _votes(row, questions, ballots, pairs), at_most)
        for column in comparison.columns:
            for direction, entries in _changes(row, column, samples, comparison.options.metric).items():
                limit = max(2, at_most // (2 * len(comparison.columns)))
                assert direction in ("gained", "lost")
                details.add("changes", entries, limit)
    return details


def spread(entries: Sequence[Entry], at_most: int) -> list[Entry]:
    """`at_most` of the entries, evenly spaced, in order."""
    if len(entries) <= at_most:
        return list(entries)
    return [entries[index * len(entries) // at_most] for index in range(at_most)]


def question_text(doc: Mapping[str, Any]) -> str:
    """The question in an item: the text fields that benchmarks use for it, else the whole item."""
    parts = [doc[name] for name in TEXT_FIELDS if isinstance(doc.get(name), str) and doc[name].strip()]
    return "\n".join(parts) or json.dumps(doc, ensure_ascii=False)


def response_text(sample: Sample) -> str:
    """The model's response; for log-likelihoods, the most likely choice."""
    response = sample["response"]
    if isinstance(response, str):
        return response
    if isinstance(response, list) and response and all(isinstance(one, list) and one for one in response):
        values = [one[0] if isinstance(one[0], int | float) else float("-inf") for one in response]
        best = max(range(len(values)), key=values.__getitem__)
        return f"choice {best + 1} of {len(values)} is the most likely (log-probability {values[best]:.2f})"
    return json.dumps(response, ensure_ascii=False)


class _Reader:
    """Reads samples of an evaluation by item; caches the files of untrained baselines, which every row needs."""

    def __init__(self) -> None:
        self._kept: dict[Path, dict[str, Sample]] = {}

    def items(self, row: Row, column: Column) -> dict[str, Sample]:
        evaluation = evaluation_of(row.runs[0], row, column)
        folder = row.runs[0].artifact("evaluate", evaluation.key) if evaluation else None
        if folder is None:
            return {}
        if folder not in self._kept:
            try:
                found = {f"{sample['task']}/{sample['doc_hash']}": sample for sample in read(folder / SAMPLES)}
            except (OSError, ValueError, KeyError):
                found = {}
            if row.role == "student":
                return found
            self._kept[folder] = found
        return self._kept[folder]


def _questions(row: Row, questions: Sequence[Question], decisions: Sequence[Decision]) -> list[Entry]:
    kept = {one.question_id: one for one in decisions if one.verdict in ("accepted", "rewritten")}
    entries = []
    for question in questions:
        decision = kept.get(question.id)
        how = decision.verdict if decision else "accepted"
        cosine = decision.cosine if decision else None
        entries.append(_entry(row, text=question.text, verdict=how, round=question.round + 1, cosine=cosine))
    return entries


def _rejections(row: Row, questions: Sequence[Question], decisions: Sequence[Decision]) -> list[Entry]:
    """Rewritten and dropped candidates, and invalid ones with the reason.

    The neighbour is that of the last judgement: for a rewritten candidate, the nearest neighbour of its rewrite.
    """
    texts = {question.id: question.text for question in questions}
    entries = []
    for decision in decisions:
        if decision.verdict == "accepted":
            continue
        entries.append(
            _entry(
                row,
                text=decision.text,
                verdict=decision.verdict,
                rewrite=texts.get(decision.question_id) if decision.verdict == "rewritten" else None,
                neighbour=texts.get(decision.nearest_id or ""),
                cosine=decision.cosine if decision.nearest_id else None,
                rewrites=decision.rewrites,
                reason=None if decision.verdict == "rewritten" else decision.reason,
            )
        )
    return entries


def _votes(row: Row, questions: Sequence[Question], ballots: Sequence[Ballot], pairs: Sequence[QAPair]) -> list[Entry]:
    texts = {question.id: question.text for question in questions}
    responses = {pair.question_id: pair.response for pair in pairs}
    entries = []
    for ballot in ballots:
        counts = Counter("no answer" if answer is None else answer for answer in ballot.answers)
        unanimous = ballot.votes == ballot.draws
        outcome = ("unanimous" if unanimous else "majority") if ballot.chosen is not None else "no pair"
        entries.append(
            _entry(
                row,
                text=texts.get(ballot.question_id, ballot.question_id),
                verdict=outcome,
                counts=[list(pair) for pair in counts.most_common()],
                answer=ballot.answer,
                agreement=ballot.agreement,
                reason=ballot.reason if ballot.chosen is None else None,
                response=responses.get(ballot.question_id),
            )
        )
    return entries


def _changes(row: Row, column: Column, reader: _Reader, metric: str | None) -> dict[str, list[Entry]]:
    """Items that the base got wrong and the student right, and the reverse."""
    found: dict[str, list[Entry]] = {"gained": [], "lost": []}
    score = score_of(row.runs[0], row, column, metric)
    base = Row("base", row.point, "base", 0, row.prompting, row.runs)
    if score is None or score.model != "student":
        return found
    key = f"{score.metric},{score.filter}"
    before = reader.items(base, column)
    for name, sample in reader.items(row, column).items():
        was, now = before.get(name, {}).get("metrics", {}).get(key), sample["metrics"].get(key)
        if was is None or now is None or was == now:
            continue
        direction = "gained" if now > was else "lost"
        found[direction].append(
            _entry(
                row,
                text=question_text(sample["doc"]),
                verdict=direction,
                task=column.name,
                target=sample["target"] if isinstance(sample["target"], str) else json.dumps(sample["target"]),
                before=response_text(before[name]),
                after=response_text(sample),
            )
        )
    return found


def _entry(row: Row, **values: Any) -> Entry:
    """An entry with long texts shortened and None values left out."""
    shown = {name: _short(value) for name, value in values.items() if value is not None}
    return {"row": row.label, **shown}


def _short(value: Any) -> Any:
    return value[:LONGEST] + " …" if isinstance(value, str) and len(value) > LONGEST else value


def lines_of(folder: Path | None, name: str, kind: type[R]) -> list[R]:
    """The records of a file; empty if it is missing or was written by another version."""
    if folder is None:
        return []
    reading: Callable[..., Any] = decode_lines
    try:
        with open(folder / name, encoding="utf-8") as lines:
            return list(reading(kind, lines))
    except (OSError, ValueError):
        return []
