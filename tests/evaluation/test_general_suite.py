"""Every task of eval=general from local files: in the hub's formats, scored, and its faults named."""

from pathlib import Path
from typing import Any

import pytest
from lm_eval.evaluator import simple_evaluate
from lm_eval.tasks import TaskManager

from crescent.core.console import Console
from crescent.engines.transformers.engine import TransformersEngine
from crescent.evaluation import catalogue, harness, loading
from crescent.evaluation.metrics import primaries
from crescent.evaluation.settings import PRIMARY, EvaluationSettings

from .general_files import FOLDER, arc, mmlu, settings, write, write_all

CHOICE_TASKS = ("arc_challenge", "hellaswag", "winogrande", "truthfulqa_mc1", "truthfulqa_mc2", "gpqa_main_n_shot")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("benchmarks")
    members = catalogue.find(settings(folder, "mmlu"))[0].members
    write_all(folder, [str(member.files["test"][0].parent.name) for member in members])
    return folder


def scored(files: Path, task: str, engine: TransformersEngine, shots: int) -> harness.TaskResult:
    (source,) = catalogue.find(settings(files, task))
    return harness.score_task(source, shots, settings(files, task), engine, Console(quiet=True))


def test_all_files_pass_the_checks_before_a_model_is_loaded(files: Path) -> None:
    harness.check(settings(files, *CHOICE_TASKS, "mmlu"))


@pytest.mark.parametrize("task", CHOICE_TASKS)
def test_a_task_is_scored_from_its_file_at_the_shots_it_allows(
    task: str, files: Path, engine: TransformersEngine
) -> None:
    planned = harness.plan(settings(files, task))
    assert [shots for _, shots in planned] == ([0] if task.startswith("truthfulqa") else [0, 5])
    for _, shots in planned:
        result = scored(files, task, engine, shots)
        count = 12 if task.startswith("gpqa") else 6
        assert {(score.task, score.shots, score.n) for score in result.scores} == {(task, shots, count)}
        assert sum(primaries(result.scores, PRIMARY)) == 1
        assert (result.samples[0]["prompt"].count("<|assistant|>") == shots + 1) or task == "winogrande"


@pytest.mark.parametrize(
    ("task", "shots"), [("arc_challenge", 0), ("arc_challenge", 5), ("hellaswag", 2), ("winogrande", 2)]
)
def test_scores_from_files_equal_those_of_the_harness_run_by_hand(
    task: str, shots: int, files: Path, engine: TransformersEngine, plain: Any
) -> None:
    (source,) = catalogue.find(settings(files, task))
    data = {split: str(path) for split, (path,) in source.files.items()}
    by_hand = {"task": task, "dataset_path": "json", "dataset_name": None, "dataset_kwargs": {"data_files": data}}
    manager = TaskManager(include_path=str(source.root), include_defaults=False)
    evaluate: Any = simple_evaluate
    with loading.quiet():
        theirs = evaluate(
            plain, tasks=[{"group": "by_hand", "task": [by_hand]}], num_fewshot=shots, task_manager=manager,
            apply_chat_template=True, fewshot_as_multiturn=True,
        )["results"][task]  # fmt: skip
    ours = {f"{score.metric},{score.filter}": score.value for score in scored(files, task, engine, shots).scores}
    assert ours == {key: value for key, value in theirs.items() if "," in key and "_stderr" not in key}


@pytest.mark.parametrize(("task", "subjects"), [("mmlu_anatomy", 1), ("mmlu_stem", 19)])
def test_a_part_of_mmlu_is_read_from_the_files_of_the_whole(
    task: str, subjects: int, files: Path, engine: TransformersEngine
) -> None:
    harness.check(settings(files, task))
    result = scored(files, task, engine, 5)
    (score,) = result.scores
    assert (score.task, score.metric, score.n) == (task, "acc", subjects * 2)
    assert len({sample["task"] for sample in result.samples}) == subjects
    assert result.samples[0]["prompt"].count("<|assistant|>") == 6


def test_a_part_of_mmlu_has_the_key_it_had_where_it_is_read_from_the_hub() -> None:
    (source,) = catalogue.find(EvaluationSettings("x", ("mmlu_anatomy",), (FOLDER,)))
    assert not source.files and source.definition == {"harness": "mmlu_anatomy"}


def test_mmlu_is_scored_over_all_its_subjects(files: Path, engine: TransformersEngine) -> None:
    result = scored(files, "mmlu", engine, 5)
    (score,) = result.scores
    assert (score.task, score.metric, score.n) == ("mmlu", "acc", 57 * 2)
    assert len({sample["task"] for sample in result.samples}) == 57
    right = [sample["metrics"]["acc,none"] for sample in result.samples]
    assert score.value == pytest.approx(sum(right) / len(right), abs=1e-12)


def test_a_subject_of_mmlu_that_is_not_there_is_named(files: Path, tmp_path: Path) -> None:
    write(
        tmp_path / "mmlu" / "abstract_algebra" / "dev.jsonl", [mmlu(number, "abstract_algebra") for number in range(5)]
    )
    with pytest.raises(ValueError, match=r"task mmlu_\w+: there is no file .*/mmlu/\w+/\w+\.jsonl\. Put it there"):
        harness.check(settings(tmp_path, "mmlu"))


def test_changing_one_file_of_one_subject_changes_the_key_of_the_group(files: Path, tmp_path: Path) -> None:
    (before,) = catalogue.find(settings(files, "mmlu"))
    write_all(tmp_path, [member.files["test"][0].parent.name for member in before.members])
    (same,) = catalogue.find(settings(tmp_path, "mmlu"))
    assert same.key() == before.key()
    write(tmp_path / "mmlu" / "anatomy" / "test.jsonl", [mmlu(number, "anatomy") for number in range(3)])
    assert catalogue.find(settings(tmp_path, "mmlu"))[0].key() != before.key()


def test_a_file_in_another_format_is_refused_with_the_fields_it_lacks(tmp_path: Path) -> None:
    broken = arc(1)
    del broken["choices"]
    write(tmp_path / "arc_challenge" / "train.jsonl", [arc(number) for number in range(8)])
    write(tmp_path / "arc_challenge" / "test.jsonl", [broken])
    with pytest.raises(ValueError, match=r"test\.jsonl:1: task arc_challenge needs choices; the line has id, question"):
        harness.check(settings(tmp_path, "arc_challenge"))


def test_ifeval_is_scored_by_the_harness_own_checks(files: Path, engine: TransformersEngine) -> None:
    pytest.importorskip("langdetect", reason="IFEval needs the packages of crescent-lm[ifeval]")
    result = scored(files, "ifeval", engine, 0)
    scores = {score.metric: score for score in result.scores}
    told = ["," not in sample["response"] and bool(sample["response"].strip()) for sample in result.samples]
    assert scores["prompt_level_strict_acc"].n == 6
    assert scores["prompt_level_strict_acc"].value == sum(told) / 6
