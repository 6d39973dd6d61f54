"""The real benchmarks from local files. They need CRESCENT_BENCHMARKS, a folder with gsm8k/, gsm_plus/ and asdiv/."""

import json
import os
from pathlib import Path

import pytest

import crescent.evaluation
from crescent.core.console import Console
from crescent.engines.transformers.engine import TransformersEngine
from crescent.evaluation import catalogue, harness
from crescent.evaluation.metrics import COSTS
from crescent.evaluation.settings import EvaluationSettings

DATA = os.environ.get("CRESCENT_BENCHMARKS")
FOLDER = str(Path(crescent.evaluation.__file__).parent / "tasks")
TASKS = ("gsm8k", "gsm_plus_mini", "asdiv_cot_llama")
needs_files = pytest.mark.skipif(DATA is None, reason="CRESCENT_BENCHMARKS is not set: no benchmark files here")


def math(*tasks: str, data: str | None = DATA) -> EvaluationSettings:
    return EvaluationSettings(
        "math", tasks=tasks or TASKS, task_folders=(FOLDER,), data=data, limit=8, max_new_tokens=8
    )


@needs_files
def test_the_math_suite_passes_its_checks() -> None:
    harness.check(math())


@needs_files
@pytest.mark.parametrize("task", TASKS)
def test_a_math_benchmark_is_scored_from_its_file(task: str, engine: TransformersEngine) -> None:
    for source, shots in harness.plan(math(task)):
        result = harness.score_task(source, shots, math(task), engine, Console(quiet=True))
        whole = [score for score in result.scores if "/" not in score.task and score.metric not in COSTS]
        assert {(score.task, score.shots, score.n) for score in whole} == {(task, shots, 8)}
        assert {score.filter for score in whole} == {"strict-match", "flexible-extract", "crescent"}
        path = source.files[source.config["test_split"]][0]
        item = json.loads(path.read_text(encoding="utf-8").splitlines()[0])
        assert result.samples[0]["doc"] == item


def test_without_the_folder_the_harness_own_data_are_taken() -> None:
    sources = catalogue.find(math(data=None))
    assert [source.config["dataset_path"] for source in sources] == [
        "openai/gsm8k",
        "qintongli/GSM-Plus",
        "EleutherAI/asdiv",
    ]
    assert not any(source.files for source in sources)


def test_file_backed_tasks_keep_all_else_of_the_harness_task() -> None:
    for hub, local in zip(catalogue.find(math(data=None)), catalogue.find(math(data="/data")), strict=True):
        changed = {key for key in local.config if local.config[key] != hub.config.get(key)}
        assert changed <= {"dataset_path", "dataset_name", "dataset_kwargs"}
        assert all(str(path).startswith("/data/") for paths in local.files.values() for path in paths)
