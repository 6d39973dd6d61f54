import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from crescent.evaluation.harness import check
from crescent.evaluation.settings import EvaluationSettings

from .conftest import TASK, rows, write_rows


def suite(folder: Path, *tasks: str, **options: Any) -> EvaluationSettings:
    return EvaluationSettings("tiny", tasks=tasks or ("tiny_gsm",), task_folders=(str(folder),), **options)


def refused(settings: EvaluationSettings) -> str:
    with pytest.raises(ValueError) as error:
        check(settings)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_good_suite_passes(task_folder: Path) -> None:
    check(suite(task_folder, "tiny_gsm", "tiny_choice"))


def test_the_suite_without_tasks_passes() -> None:
    check(EvaluationSettings("none"))


def test_an_unknown_task_is_named_with_those_that_exist(task_folder: Path) -> None:
    message = refused(suite(task_folder, "tiny_gms"))
    assert "no task 'tiny_gms'" in message and "Did you mean tiny_gsm" in message
    assert "tiny_choice, tiny_gsm" in message


def test_a_misspelt_harness_task_gets_a_suggestion_in_a_moment() -> None:
    start = time.monotonic()
    assert "Did you mean gsm8k" in refused(EvaluationSettings("x", tasks=("gsm8kk",)))
    assert time.monotonic() - start < 6


def test_a_task_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert refused(suite(tmp_path / "nowhere")) == f"eval.task_folders: there is no folder {tmp_path / 'nowhere'}"


def test_yaml_that_cannot_be_read_is_named(task_folder: Path) -> None:
    (task_folder / "tiny_gsm.yaml").write_text("task: tiny_gsm\noops: [1, 2\n")
    assert "tiny_gsm.yaml is not valid YAML" in refused(suite(task_folder))


def test_a_group_in_a_task_folder_is_refused(task_folder: Path) -> None:
    (task_folder / "both.yaml").write_text("group: both\ntask: [tiny_gsm, tiny_choice]\n")
    assert "is a group; name its tasks instead" in refused(suite(task_folder, "both"))


def test_examples_that_num_fewshot_zero_would_silently_switch_off_are_refused(task_folder: Path) -> None:
    (task_folder / "tiny_gsm.yaml").write_text(TASK + "num_fewshot: 0\n")
    assert "remove num_fewshot from its YAML" in refused(suite(task_folder))
    check(suite(task_folder, shots=(0,)))


def test_an_include_that_is_not_there_is_named(task_folder: Path) -> None:
    (task_folder / "tiny_gsm.yaml").write_text("include: base.yaml\n" + TASK)
    assert f"{task_folder}/base.yaml cannot be read" in refused(suite(task_folder))


def test_a_missing_file_is_named(task_folder: Path) -> None:
    (task_folder / "data" / "test.jsonl").unlink()
    assert f"there is no file {task_folder}/data/test.jsonl" in refused(suite(task_folder))


def test_a_missing_benchmark_file_is_named_with_a_hint(tmp_path: Path) -> None:
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "gsm8k.yaml").write_text(
        "task: gsm8k\nextends: harness\ndataset_kwargs: {data_files: {test: gsm8k/test.jsonl}}\n"
    )
    message = refused(suite(tmp_path / "tasks", "gsm8k", data=str(tmp_path)))
    assert f"there is no file {tmp_path}/gsm8k/test.jsonl" in message and "unset CRESCENT_BENCHMARKS" in message


def test_a_file_in_another_encoding_is_named_by_file_and_line(task_folder: Path) -> None:
    path = task_folder / "data" / "test.jsonl"
    path.write_bytes(path.read_bytes() + '{"question": "Ann’s café?"}\n'.encode("cp1252"))
    assert f"{path}:21 is not UTF-8 (byte 0x92)" in refused(suite(task_folder))
    (task_folder / "tiny_gsm.yaml").write_bytes(TASK.encode() + "# café\n".encode("latin-1"))
    assert refused(suite(task_folder)).startswith(f"{task_folder}/tiny_gsm.yaml is not UTF-8")


def test_a_broken_line_is_named_by_file_and_number(task_folder: Path) -> None:
    path = task_folder / "data" / "test.jsonl"
    path.write_text(path.read_text() + '{"question": "How ma\n')
    assert f"{path}:21: invalid JSON" in refused(suite(task_folder))


def test_a_line_that_is_no_object_is_named(task_folder: Path) -> None:
    (task_folder / "data" / "test.jsonl").write_text("[1]\n")
    assert "test.jsonl:1: a list instead of a JSON object" in refused(suite(task_folder))


def test_an_empty_file_is_named(task_folder: Path) -> None:
    (task_folder / "data" / "test.jsonl").write_text("\n")
    assert "test.jsonl is empty" in refused(suite(task_folder))


def test_missing_fields_are_named_with_their_line(task_folder: Path) -> None:
    path = task_folder / "data" / "test.jsonl"
    write_rows(path, [*rows(2, 0), {"questoin": "?", "reply": "1"}])
    assert f"{path}:3: task tiny_gsm needs question, answer; the line has questoin, reply" in refused(
        suite(task_folder)
    )


def test_a_field_that_is_named_without_braces_is_asked_for_too(task_folder: Path) -> None:
    (task_folder / "tiny_gsm.yaml").write_text(TASK.replace('"{{answer}}"', "reply"))
    assert "needs reply" in refused(suite(task_folder))


def test_a_field_that_is_optional_in_the_template_is_not_asked_for(task_folder: Path) -> None:
    (task_folder / "tiny_gsm.yaml").write_text(TASK.replace("{{question}}", "{{body if body is defined}} {{question}}"))
    check(suite(task_folder))


def test_too_few_worked_examples_are_named(task_folder: Path) -> None:
    write_rows(task_folder / "data" / "train.jsonl", rows(3, 100))
    assert "train.jsonl holds 3 examples, but eval.shots asks for 5" in refused(suite(task_folder))
    check(suite(task_folder, shots=(0, 3)))


def test_too_few_examples_in_the_yaml_are_named() -> None:
    message = refused(EvaluationSettings("x", tasks=("asdiv_cot_llama",), shots=(0, 9)))
    assert message == "task asdiv_cot_llama has 8 worked examples, but eval.shots asks for 9"


def test_code_that_cannot_be_imported_is_named(task_folder: Path) -> None:
    (task_folder / "code.py").write_text("import a_package_that_is_nowhere\n")
    (task_folder / "tiny_gsm.yaml").write_text(TASK + "process_docs: !function code.process\n")
    message = refused(suite(task_folder))
    assert "code.py cannot be imported (No module named 'a_package_that_is_nowhere')" in message


def test_hub_data_that_cannot_be_had_is_named_with_a_hint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path)
    message = refused(EvaluationSettings("x", tasks=("arc_challenge",)))
    assert "data set allenai/ai2_arc (ARC-Challenge) is not on this machine" in message and "Load it once" in message


def test_checking_files_imports_neither_torch_nor_the_harness(task_folder: Path) -> None:
    code = (
        "import sys; from crescent.evaluation.harness import check;"
        "from crescent.evaluation.settings import EvaluationSettings as S;"
        f"check(S('x', tasks=('tiny_gsm',), task_folders=({str(task_folder)!r},)));"
        "assert not {'torch', 'lm_eval', 'datasets', 'transformers'} & sys.modules.keys(), 'slow to import'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
