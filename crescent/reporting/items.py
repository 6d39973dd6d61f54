"""What each question of an evaluation came to, ready to be paired with the same questions of another.

In: the samples of an evaluation. Out: identities, groups and values of its questions as arrays. A question is known by
the hash of its item, not by its place: two suites with different limits still share their common items.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crescent.evaluation.samples import Sample
from crescent.records import text_id
from crescent.reporting.runs import Evaluation, Run

SAMPLES = "samples.jsonl"
GROUP_FIELDS = ("seed_question",)
"""Fields of an item that name what it is a variant of: variants of one question are not independent."""


@dataclass(frozen=True, slots=True)
class Items:
    """`ids` and `groups` of the questions, in the order of the file; `values` by "metric,filter", [questions]."""

    ids: tuple[str, ...]
    groups: tuple[str, ...]
    values: Mapping[str, NDArray[np.float64]]


@dataclass(slots=True)
class SampleReader:
    """Reads each samples file once, however many runs share it."""

    read: dict[Path, Items | str] = field(default_factory=dict)

    def items(self, run: Run, evaluation: Evaluation) -> Items | str:
        """The items of an evaluation, or in one line why there are none."""
        folder = run.artifact("evaluate", evaluation.key)
        if folder is None:
            return (
                f"{run.folder}: samples of {evaluation.task}, {evaluation.shots}-shot, {evaluation.model}, are not at "
                f"{evaluation.path}; say with --store where the store is. Without them differences are unpaired"
            )
        path = folder / SAMPLES
        if path not in self.read:
            try:
                self.read[path] = read_items(path)
            except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
                self.read[path] = f"{path} cannot be read ({type(error).__name__}: {error}); differences are unpaired"
        return self.read[path]


def read_items(path: Path) -> Items:
    """All items of a samples file. Equal items are told apart by how often they came before."""
    ids, groups, rows = [], [], []
    seen: Counter[str] = Counter()
    names: dict[str, None] = {}
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            sample: Sample = json.loads(line)
            identity = f"{sample['task']}/{sample['doc_hash']}"
            seen[identity] += 1
            ids.append(f"{identity}/{seen[identity]}")
            groups.append(group_of(sample["doc"]) or ids[-1])
            rows.append(sample["metrics"])
            names.update(dict.fromkeys(sample["metrics"]))
    values = {name: np.array([row.get(name, np.nan) for row in rows], dtype=np.float64) for name in names}
    return Items(tuple(ids), tuple(groups), values)


def group_of(doc: Any) -> str | None:
    """What the item is a variant of, if it says so."""
    if isinstance(doc, Mapping):
        for name in GROUP_FIELDS:
            if isinstance(doc.get(name), str) and doc[name].strip():
                return text_id(doc[name])
    return None


def align(tables: Sequence[Items], metric: str) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """The values of the questions that all have, [tables, questions], and their groups; a question without a finite
    value in any of them is left out."""
    first = tables[0]
    if all(one.ids == first.ids for one in tables):
        values, groups = np.stack([_values(one, metric) for one in tables]), first.groups
    else:
        common = set(first.ids).intersection(*(one.ids for one in tables))
        kept = [identity for identity in first.ids if identity in common]
        places = [{identity: place for place, identity in enumerate(one.ids)} for one in tables]
        values = np.stack(
            [
                _values(one, metric)[[place[identity] for identity in kept]]
                for one, place in zip(tables, places, strict=True)
            ]
        )
        groups = tuple(first.groups[places[0][identity]] for identity in kept)
    finite = np.asarray(np.isfinite(values).all(axis=0))
    return values[:, finite], tuple(group for group, use in zip(groups, finite, strict=True) if use)


def _values(items: Items, metric: str) -> NDArray[np.float64]:
    return items.values.get(metric, np.full(len(items.ids), np.nan))
