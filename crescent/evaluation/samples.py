"""What a model said to each item of a task, one JSON object a line.

In: the harness's samples, one for each (item, filter). Out: one `Sample` for each item. The prompt's text is kept for
the first item of a task and as a hash for all: with worked examples it is long, and nearly the same in every line.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from crescent.evaluation.metrics import as_number

Sample = dict[str, Any]
"""task, doc_id, doc_hash, doc (the item's own fields), prompt, prompt_hash, target, response, filtered (by filter),
metrics (by "metric,filter"). `response` is text, or [log-probability, is greedy] of each choice."""


def merge(samples: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[Sample]:
    """One sample for each item, tasks in order of name, items in order of doc_id."""
    merged = []
    for task in sorted(samples):
        items: dict[int, Sample] = {}
        for seen in samples[task]:
            item = items.setdefault(seen["doc_id"], _new(task, seen, first=not items))
            item["filtered"][seen["filter"]] = _plain(_only(seen["filtered_resps"]))
            for metric in seen["metrics"]:
                number = as_number(seen[metric])
                if number is not None:
                    item["metrics"][f"{metric},{seen['filter']}"] = number
        merged += [items[doc_id] for doc_id in sorted(items)]
    return merged


def write(samples: Iterable[Sample], path: Path) -> None:
    """Writes JSONL."""
    with open(path, "w", encoding="utf-8") as file:
        for sample in samples:
            file.write(json.dumps(sample, ensure_ascii=False, allow_nan=False) + "\n")


def read(path: Path) -> list[Sample]:
    """Reads what `write` wrote."""
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def _new(task: str, seen: Mapping[str, Any], first: bool) -> Sample:
    return {
        "task": task,
        "doc_id": seen["doc_id"],
        "doc_hash": seen["doc_hash"],
        "doc": _plain(seen["doc"]),
        "prompt": _plain(seen["arguments"][0][0]) if first else None,
        "prompt_hash": seen["prompt_hash"],
        "target": _plain(seen["target"]),
        "response": _plain(_only([_only(responses) for responses in seen["resps"]])),
        "filtered": {},
        "metrics": {},
    }


def _only(values: Sequence[Any]) -> Any:
    """The single value of a request that was made once, else all values."""
    return values[0] if len(values) == 1 else list(values)


def _plain(value: Any) -> Any:
    """`value` as JSON can hold it; what is not finite becomes None, what is no data becomes text."""
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value.item() if hasattr(value, "item") and getattr(value, "ndim", 1) == 0 else str(value)
