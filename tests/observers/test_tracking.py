"""What is logged to W&B, and under which names, without W&B."""

import json
from pathlib import Path
from typing import Any

from crescent.core.events import Scored
from crescent.core.store import Key, Outcome, Store
from crescent.observers.tracking import WandbTracker
from crescent.statistics.paired import paired_difference


class Logged:
    """A run that keeps what is logged."""

    def __init__(self) -> None:
        self.logged: dict[str, Any] = {}
        self.summary: dict[str, Any] = {}

    def define_metric(self, *names: str, **settings: str | None) -> None:
        pass

    def log(self, values: dict[str, Any]) -> None:
        self.logged |= values


def test_the_samples_of_a_group_are_one_table_under_its_name(tmp_path: Path) -> None:
    texts = {"doc": {}, "response": "A", "filtered": {}, "target": "A", "metrics": {"acc,none": 1.0}}
    rows = [{"task": f"mmlu_{subject}", "doc_id": 0, **texts} for subject in ("law", "virology")]

    def build(work: Path) -> Outcome:
        (work / "samples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        return Outcome([], {"task": "mmlu", "shots": 0}, {"samples.jsonl": work / "samples.jsonl"})

    run = Logged()
    artifact = Store(tmp_path).build(Key("evaluate", 1, {}), build)
    WandbTracker(run, 10).scored(Scored("base", 0, "none", [artifact], [], "weights"))
    table = run.logged["samples/base/mmlu/0"]
    assert table.get_column("task") == ["mmlu_law", "mmlu_virology"]
    assert table.get_column("question_id") == ["mmlu_law/0", "mmlu_virology/0"]


def test_the_p_value_of_a_difference_says_that_it_is_not_corrected() -> None:
    run, found = Logged(), paired_difference([[1, 1, 0, 1]], [[0, 1, 0, 0]])
    WandbTracker(run, 10).report({("gsm", 0): found}, None)
    assert run.summary["difference/gsm/0/p_uncorrected"] == found.p and "difference/gsm/0/p" not in run.summary
