"""Samples: a model's responses to the items of a task, one JSON object per line.

In: the harness's samples, one per (item, filter). Out: one `Sample` per item. The prompt is stored as text only for a
task's first item, and as a hash for all: with worked examples it is long, and nearly the same in every line.

    {"task": "gsm_plus_mini", "doc_id": 3, "item": "5be1...", "cluster": "90c2...", "subset": "digit expansion", ...}

`item` identifies the same item in every run, whatever the limit or the order of the file. `cluster` is equal for items
made from the same seed question, so that standard errors need not assume that they are independent.
"""

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crescent.core.records import text_id
from crescent.evaluation.metrics import as_number

Sample = dict[str, Any]
"""task, doc_id, item, cluster, subset (text or None), doc_hash, doc (the item's own fields), prompt, prompt_hash,
target, response, filtered (by filter), metrics (by "metric,filter"), prompt_tokens and new_tokens (None if nothing was
generated), prompting (the baseline, or none); for a thinking model also thought_tokens and cut_at_limit (0 or 1).
`response` is text without thoughts, or for choices [log-probability, is greedy]; with several samples per item,
response and filtered are lists with one entry per sample, and numbers are means over samples.
"""


@dataclass(frozen=True, slots=True)
class Grouping:
    """The fields that group items: `cluster` holds an item's seed question, `subset` its kind. None: no such field."""

    cluster: str | None = None
    subset: str | None = None


def merge(
    samples: Mapping[str, Sequence[Mapping[str, Any]]],
    grouping: Grouping = Grouping(),
    costs: Mapping[tuple[str, int], tuple[int, int]] | None = None,
    thoughts: Mapping[tuple[str, int], tuple[int, int]] | None = None,
) -> list[Sample]:
    """One sample per item, tasks in order of name, items in order of doc_id.

    `costs` maps (task, doc_id) to (prompt tokens, new tokens), `thoughts` to (tokens of thought, 1 if cut off at the
    limit, else 0).
    """
    merged = []
    for task in sorted(samples):
        items: dict[int, Sample] = {}
        copies: Counter[str] = Counter()
        for seen in samples[task]:
            if seen["doc_id"] not in items:
                items[seen["doc_id"]] = _new(task, seen, grouping, copies, first=not items)
            item = items[seen["doc_id"]]
            item["filtered"][seen["filter"]] = _plain(_only(seen["filtered_resps"]))
            for metric in seen["metrics"]:
                number = as_number(seen[metric])
                if number is not None:
                    item["metrics"][f"{metric},{seen['filter']}"] = number
        for doc_id in sorted(items):
            if costs and (task, doc_id) in costs:
                items[doc_id]["prompt_tokens"], items[doc_id]["new_tokens"] = costs[task, doc_id]
            if thoughts and (task, doc_id) in thoughts:
                items[doc_id]["thought_tokens"], items[doc_id]["cut_at_limit"] = thoughts[task, doc_id]
            merged.append(items[doc_id])
    return merged


def write(samples: Iterable[Sample], path: Path) -> None:
    with open(path, "w", encoding="utf-8") as file:
        for sample in samples:
            file.write(json.dumps(sample, ensure_ascii=False, allow_nan=False) + "\n")


def read(path: Path) -> list[Sample]:
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def _new(task: str, seen: Mapping[str, Any], grouping: Grouping, copies: Counter[str], first: bool) -> Sample:
    """A new sample. `copies` counts equal items: the second has the same cluster but its own id, "5be1...-2"."""
    doc, own = seen["doc"], seen["doc_hash"][:16]
    copies[own] += 1
    return {
        "task": task,
        "doc_id": seen["doc_id"],
        "item": own if copies[own] == 1 else f"{own}-{copies[own]}",
        "cluster": text_id(str(doc[grouping.cluster])) if grouping.cluster else own,
        "subset": str(doc[grouping.subset]) if grouping.subset else None,
        "doc_hash": seen["doc_hash"],
        "doc": _plain(seen["doc"]),
        "prompt": _plain(seen["arguments"][0][0]) if first else None,
        "prompt_hash": seen["prompt_hash"],
        "target": _plain(seen["target"]),
        "response": _plain(_only([_only(responses) for responses in seen["resps"]])),
        "filtered": {},
        "metrics": {},
        "prompt_tokens": None,
        "new_tokens": None,
    }


def _only(values: Sequence[Any]) -> Any:
    """The value of a request made once, else all values."""
    return values[0] if len(values) == 1 else list(values)


def _plain(value: Any) -> Any:
    """`value` as JSON can represent it: numbers that are not finite become None, other objects become text."""
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value.item() if hasattr(value, "item") and getattr(value, "ndim", 1) == 0 else str(value)
