"""Per-question results of an evaluation, ready to be paired with the same questions of another.

In: the samples of an evaluation. Out: identities, groups and values of its questions, or of one part of a task, as
arrays. A question is identified by its item, not its position, so suites with different limits can be compared on their
common items.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crescent.core.records import text_id
from crescent.evaluation.catalogue import unanswerable
from crescent.evaluation.metrics import ANSWERABLE
from crescent.evaluation.samples import Sample
from crescent.reporting.read.runs import Evaluation, Run

SAMPLES = "samples.jsonl"
GROUP_FIELDS = ("seed_question",)
"""Fields of an item that name what it is a variant of, used if its sample has no cluster."""


@dataclass(frozen=True, slots=True)
class Items:
    """`ids`, `groups` and `subsets` of the questions, in file order; `values` by "metric,filter"."""

    ids: tuple[str, ...]
    groups: tuple[str, ...]
    values: Mapping[str, NDArray[np.float64]]
    subsets: tuple[str | None, ...] = ()

    def part(self, wanted: Callable[[str], bool]) -> "Items":
        """The questions whose subset is wanted."""
        at = [place for place, subset in enumerate(self.subsets) if subset is not None and wanted(subset)]
        ids, groups = (tuple(one[place] for place in at) for one in (self.ids, self.groups))
        values = {name: values[at] for name, values in self.values.items()}
        return Items(ids, groups, values, tuple(self.subsets[place] for place in at))


@dataclass(slots=True)
class SampleReader:
    """Reads each samples file once, however many runs share it."""

    read: dict[Path, Items | str] = field(default_factory=dict)
    parts: dict[tuple[Path, str], Items | str] = field(default_factory=dict)

    def items(self, run: Run, evaluation: Evaluation, part: str = "") -> Items | str:
        """The items of an evaluation, or of a part of its task; if there are none, the reason in one line."""
        folder = run.artifact("evaluate", evaluation.key)
        if folder is None:
            return (
                f"{run.folder}: samples of {evaluation.task}, {evaluation.shots}-shot, {evaluation.model}, are not at "
                f"{evaluation.path}; give the store's folder with --store. Without them differences are unpaired"
            )
        path = folder / SAMPLES
        if path not in self.read:
            try:
                self.read[path] = read_items(path)
            except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
                self.read[path] = f"{path} cannot be read ({type(error).__name__}: {error}); differences are unpaired"
        whole = self.read[path]
        if not part or isinstance(whole, str):
            return whole
        if (path, part) not in self.parts:
            self.parts[path, part] = _part(whole, part, run, evaluation, path)
        return self.parts[path, part]


def _part(whole: Items, part: str, run: Run, evaluation: Evaluation, path: Path) -> Items | str:
    """The items of one subset; "answerable" is all but the unanswerable subset."""
    found = whole.part(lambda subset: subset == part)
    if part == ANSWERABLE and not found.ids:
        without = unanswerable(evaluation.task, tuple(map(str, run.settings.get("eval.task_folders") or ())))
        found = whole.part(lambda subset: without is not None and subset != without)
    return found if found.ids else f"{path} does not say which questions are {part}; its differences are unpaired"


def read_items(path: Path) -> Items:
    """All items of a samples file. Early versions have no item ids: there, equal items are distinguished by their
    order.
    """
    ids, groups, subsets, rows = [], [], [], []
    seen: Counter[str] = Counter()
    names: dict[str, None] = {}
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            sample: Sample = json.loads(line)
            own = sample["doc_hash"][:16]
            seen[f"{sample['task']}/{own}"] += 1
            copy = seen[f"{sample['task']}/{own}"]
            item = sample.get("item") or (own if copy == 1 else f"{own}-{copy}")
            ids.append(f"{sample['task']}/{item}")
            groups.append(f"{sample['task']}/{sample.get('cluster') or group_of(sample['doc']) or own}")
            subsets.append(sample.get("subset"))
            rows.append(sample["metrics"])
            names.update(dict.fromkeys(sample["metrics"]))
    values = {name: np.array([row.get(name, np.nan) for row in rows], dtype=np.float64) for name in names}
    return Items(tuple(ids), tuple(groups), values, tuple(subsets))


def group_of(doc: Any) -> str | None:
    """An identity of what the item is a variant of, if a field names it."""
    if isinstance(doc, Mapping):
        for name in GROUP_FIELDS:
            if isinstance(doc.get(name), str) and doc[name].strip():
                return text_id(doc[name])
    return None


def align(tables: Sequence[Items], metric: str) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """The values of the questions that all tables share, [tables, questions], and their groups; questions without a
    finite value in some table are left out.
    """
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
