"""The benchmarks: items of the right split, apart from the shots, and YAML that lm-eval loads and judges rightly."""

import json
from collections import Counter
from pathlib import Path

import pytest
from lm_eval.tasks import TaskManager
from lm_eval.tasks._yaml_loader import load_yaml

from crescent.organism.build import tasks
from crescent.organism.build.split import normalised, split_of


def shipped(name: str) -> list[dict[str, str]]:
    path = tasks.TASKS / "data" / f"{name}.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("name", tasks.NAMES)
def test_test_questions_are_2000_held_out_and_apart_from_the_shots(name: str) -> None:
    rows, shots = shipped(name), shipped(f"{name}_shots")
    texts = {normalised(row["question"]) for row in rows}
    assert len(rows) == len(texts) == 2_000
    assert all(split_of(row["question"]) == "test" for row in rows)
    assert all(split_of(shot["question"]) == "shots" for shot in shots)


@pytest.mark.parametrize("name", tasks.NAMES)
def test_items_are_a_function_of_split_and_seed(name: str) -> None:
    assert tasks.items(name, "dev", 3, 5) == tasks.items(name, "dev", 3, 5)
    assert tasks.items(name, "dev", 3, 5) != tasks.items(name, "dev", 4, 5)


def test_each_perturbation_is_well_represented_and_names_its_seed() -> None:
    rows = shipped("organism_plus")
    counts = Counter(row["perturbation_type"] for row in rows)
    assert len(counts) == 7 and min(counts.values()) > 200
    assert all(row["seed_question"] != row["question"] and row["seed_answer"] for row in rows)


def config(name: str) -> dict:
    """A task's YAML with its functions and data files resolved, as the harness does it."""
    loaded = load_yaml(tasks.TASKS / f"{name}.yaml")
    files = loaded["dataset_kwargs"]["data_files"]
    loaded["dataset_kwargs"]["data_files"] = {split: str(tasks.TASKS / file) for split, file in files.items()}
    return loaded


REPLIES = {
    "organism_gsm": ("He has 3 + 4 = 7.\n#### {a}", "So it is {a}"),
    "organism_asdiv": ("#### {a}", "{a}"),
    "organism_plus": ("That is 1 * 2 = 2.\n#### {a}", "{a}."),
    "organism_general": ("{a}", "I think:\n#### {a}"),
    "organism_ordering": ("From Tom to Ben.\n#### {a}", "It is {a}"),
}


@pytest.mark.parametrize("name", tasks.NAMES)
def test_lm_eval_loads_a_task_and_judges_right_and_wrong_replies(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path))
    task = TaskManager(include_defaults=False).load([config(name)])["tasks"][name]
    docs = list(task.test_docs())
    strict, flexible = REPLIES[name]
    scores = [judge(task, docs[0], reply.format(a=docs[0]["answer"])) for reply in (strict, flexible, "@@@ 987654")]
    assert scores[0] == {"strict-match": 1.0, "flexible-extract": 1.0, "crescent": 1.0}
    assert scores[1]["flexible-extract"] == 1.0
    assert set(scores[2].values()) == {0.0}


def judge(task, doc: dict, reply: str) -> dict[str, float]:
    """exact_match of one reply by each filter."""
    task.build_all_requests(limit=1, rank=0, world_size=1)
    for instance in task.instances:
        instance.resps = [reply]
    task.apply_filters()
    instance = task.instances[0]
    return {
        name: float(task.process_results(doc, [response])["exact_match"])
        for name, response in instance.filtered_resps.items()
    }
