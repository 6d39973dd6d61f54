"""Parts of a task: sub-scores by kind of item, clusters by seed question, and worked examples that are no siblings."""

import json
import os
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import pytest

from crescent.core.console import Console
from crescent.engines.transformers.engine import TransformersEngine
from crescent.evaluation import catalogue, harness, loading
from crescent.evaluation.metrics import subset_scores
from crescent.evaluation.samples import Grouping, merge
from crescent.evaluation.settings import EvaluationSettings

from .general_files import FOLDER

DATA = os.environ.get("CRESCENT_BENCHMARKS")
needs_files = pytest.mark.skipif(DATA is None, reason="CRESCENT_BENCHMARKS is not set: no benchmark files here")


def sample(subset: str | None, right: float) -> dict[str, Any]:
    return {"subset": subset, "metrics": {"acc,none": right}}


def test_each_subset_has_a_mean_and_an_error_of_its_own() -> None:
    right = {"b": [1.0, 0.0, 1.0], "a": [0.0, 1.0]}
    made = subset_scores("t", 5, [sample(name, one) for name, some in right.items() for one in some], None)
    assert [(one.task, one.shots, one.n) for one in made] == [("t/a", 5, 2), ("t/b", 5, 3)]
    assert made[1].value == fmean(right["b"]) and made[1].stderr == stdev(right["b"]) / 3**0.5


def test_what_can_be_answered_is_a_subset_too() -> None:
    made = subset_scores("t", 0, [sample("a", 1.0), sample("b", 0.0), sample("trick", 0.0)], "trick")
    assert {one.task: one.value for one in made} == {"t/a": 1.0, "t/b": 0.0, "t/trick": 0.0, "t/answerable": 0.5}


def test_a_task_without_subsets_has_no_parts() -> None:
    assert subset_scores("t", 0, [sample(None, 1.0)], None) == []


def seen(doc_id: int, question: str, seed: str) -> dict[str, Any]:
    return {
        "doc_id": doc_id, "doc_hash": question * 20, "doc": {"question": question, "seed": seed, "kind": "x"},
        "arguments": [("p",)], "prompt_hash": "q", "target": "1", "resps": [["1"]], "filtered_resps": ["1"],
        "filter": "none", "metrics": ["acc"], "acc": 1.0,
    }  # fmt: skip


def test_items_of_one_seed_question_share_a_cluster_and_nothing_else() -> None:
    first, second, third = merge(
        {"t": [seen(0, "a", "s"), seen(1, "b", "s"), seen(2, "c", "r")]}, Grouping("seed", "kind")
    )
    assert first["cluster"] == second["cluster"] != third["cluster"]
    assert len({one["item"] for one in (first, second, third)}) == 3 and first["subset"] == "x"


def test_a_verbatim_copy_has_an_id_of_its_own_and_the_cluster_of_the_first() -> None:
    first, copy = merge({"t": [seen(0, "a", "s"), seen(1, "a", "s")]})
    assert copy["item"] == f"{first['item']}-2" and copy["cluster"] == first["cluster"]


@needs_files
def test_the_kinds_of_gsm_plus_are_scores_and_its_seed_questions_clusters(engine: TransformersEngine) -> None:
    settings = EvaluationSettings("x", ("gsm_plus_mini",), (FOLDER,), DATA, limit=16, max_new_tokens=4)
    (source,) = catalogue.find(settings)
    result = harness.score_task(source, 0, settings, engine, Console(quiet=True))
    parts = {one.task.partition("/")[2]: one.n for one in result.scores if one.filter == "flexible-extract"}
    kinds = {str(one["doc"]["perturbation_type"]): 2 for one in result.samples}
    assert parts == {"": 16, "answerable": 14, **kinds} and len(kinds) == 8
    assert len({one["cluster"] for one in result.samples}) == 2 and len({one["item"] for one in result.samples}) == 16


def siblings_among_shots(task: str, items: int) -> int:
    """How many of the first items have a sibling among their 5 worked examples."""
    settings = EvaluationSettings("x", (task,), (FOLDER,), DATA)
    (source,) = catalogue.find(settings)
    with loading.quiet():
        loaded = loading.load(source, 5, settings)["tasks"][task]
    rows = list(loaded.eval_docs)[:items]
    drawn = [loaded.sampler.sample(5, eval_doc=row) for row in rows]
    assert all(len(shots) == 5 and row not in shots for row, shots in zip(rows, drawn, strict=True))
    return sum(
        any(shot["seed_question"] == row["seed_question"] for shot in shots)
        for row, shots in zip(rows, drawn, strict=True)
    )


@needs_files
def test_the_variant_draws_no_shots_from_an_items_siblings_and_the_original_does() -> None:
    assert siblings_among_shots("gsm_plus_mini", 400) > 0
    assert siblings_among_shots("gsm_plus_mini_no_siblings", 400) == 0


@needs_files
def test_the_variant_is_scored_with_shots_only_and_under_its_own_name(engine: TransformersEngine) -> None:
    tasks = ("gsm_plus_mini", "gsm_plus_mini_no_siblings")
    settings = EvaluationSettings("x", tasks, (FOLDER,), DATA, limit=2, max_new_tokens=4)
    planned = [(source.name, shots) for source, shots in harness.plan(settings)]
    assert planned == [(tasks[0], 0), (tasks[0], 5), (tasks[1], 5)]
    source = catalogue.find(settings)[1]
    result = harness.score_task(source, 5, settings, engine, Console(quiet=True))
    assert (
        {one.task.partition("/")[0] for one in result.scores} == {one["task"] for one in result.samples} == {tasks[1]}
    )


def test_the_organisms_perturbations_are_parts_too() -> None:
    folder = Path(FOLDER).parents[1] / "organism" / "tasks"
    (source,) = catalogue.find(EvaluationSettings("x", ("organism_plus",), (str(folder),)))
    row = json.loads((folder / "data" / "organism_plus.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert {source.metadata["cluster"], source.metadata["subset"]} <= row.keys()


def test_another_filter_changes_the_key_of_scores_and_not_that_of_items(tmp_path: Path) -> None:
    keys = []
    for kind in ("number", "name"):
        overlay = (
            f"task: gsm8k\nextends: harness\ndataset_kwargs: {{data_files: {{}}}}\nmetadata: {{answers: {kind}}}\n"
        )
        (tmp_path / "gsm8k.yaml").write_text(overlay)
        (source,) = catalogue.find(EvaluationSettings("x", ("gsm8k",), (str(tmp_path),)))
        keys.append((source.key(), source.items_key()))
    assert keys[0][0] != keys[1][0] and keys[0][1] == keys[1][1]
