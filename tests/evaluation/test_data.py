"""crescent-data: what a suite needs, what is there, and mirrors, from a data set on disk in place of the hub's."""

import json
import re
from pathlib import Path

import pytest

from crescent.cli.data import main
from crescent.config.composing import composed
from crescent.evaluation import catalogue, harness
from crescent.evaluation.data import MANIFEST, mirror, needs
from crescent.evaluation.settings import EvaluationSettings

from .general_files import FOLDER, settings, write, write_all

ROWS = [{"question": f"{number}?", "answer": f"#### {number}"} for number in range(8)]


def silent(_: str) -> None: ...


@pytest.fixture
def suite(tmp_path: Path) -> EvaluationSettings:
    """gsm8k, taken by an overlay of one's own from another data set: a folder, read as `datasets` reads the hub's."""
    write(tmp_path / "hub" / "train.jsonl", ROWS)
    write(tmp_path / "hub" / "test.jsonl", ROWS[:3])
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "gsm8k.yaml").write_text(
        f"task: gsm8k\nextends: harness\ndataset_path: {tmp_path}/hub\ndataset_name: default\n"
        "dataset_kwargs: {data_files: {train: g/train.jsonl, test: g/test.jsonl}}\nmetadata: {answers: number}\n"
    )
    return EvaluationSettings("x", tasks=("gsm8k",), task_folders=(str(tmp_path / "tasks"),), shots=(0, 5))


def test_a_mirror_holds_what_scoring_reads(suite: EvaluationSettings, tmp_path: Path) -> None:
    said: list[str] = []
    assert mirror(needs(suite, tmp_path / "mirror"), tmp_path / "mirror", said.append) == (2, [])
    lines = (tmp_path / "mirror" / "g" / "train.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == ROWS and len(said) == 2
    harness.check(EvaluationSettings("x", ("gsm8k",), suite.task_folders, str(tmp_path / "mirror")))


def test_a_mirror_says_where_each_file_came_from(suite: EvaluationSettings, tmp_path: Path) -> None:
    mirror(needs(suite, tmp_path / "mirror"), tmp_path / "mirror", silent)
    manifest = json.loads((tmp_path / "mirror" / MANIFEST).read_text())
    assert manifest["g/test.jsonl"]["hub"] == f"{tmp_path}/hub" and manifest["g/test.jsonl"]["rows"] == 3
    assert len(manifest["g/train.jsonl"]["sha256"]) == 64


def test_a_second_mirroring_fetches_only_what_is_missing(suite: EvaluationSettings, tmp_path: Path) -> None:
    mirror(needs(suite, tmp_path / "mirror"), tmp_path / "mirror", silent)
    (tmp_path / "mirror" / "g" / "test.jsonl").unlink()
    assert mirror(needs(suite, tmp_path / "mirror"), tmp_path / "mirror", silent) == (1, [])


def test_a_data_set_that_cannot_be_had_is_one_line_and_the_others_are_fetched(
    suite: EvaluationSettings, tmp_path: Path
) -> None:
    nowhere = needs(EvaluationSettings("x", ("gsm_plus_mini", "mmlu"), (FOLDER,)), tmp_path / "mirror")
    count, lines = mirror([*nowhere, *needs(suite, tmp_path / "mirror")], tmp_path / "mirror", silent)
    assert count == 2 and len(list((tmp_path / "mirror").rglob("*.jsonl"))) == 2
    plus, subjects = lines
    assert plus.startswith("task gsm_plus_mini: qintongli/GSM-Plus cannot be fetched (")
    assert "there is a network" in plus
    assert subjects.endswith("(56 more of mmlu.)") and not any("\n" in line for line in lines)


def test_mirroring_what_cannot_be_had_ends_with_status_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval=math", "eval.tasks=[gsm8k]", "--mirror", str(tmp_path)]) == 1
    assert "crescent-data: error: task gsm8k: openai/gsm8k (main) cannot be fetched (" in capsys.readouterr().err


def test_every_task_of_every_suite_can_be_mirrored() -> None:
    for suite in ("math", "math_hard", "general", "full", "organism"):
        node = composed([f"eval={suite}"])["eval"]
        for need in needs(EvaluationSettings(suite, tuple(node["tasks"]), tuple(node["task_folders"])), Path("/data")):
            assert not need.hub or need.files, need


@pytest.fixture
def general(tmp_path: Path) -> Path:
    """Small files of the general suite in data/, and in tasks/ overlays that know no numbers of rows."""
    (tmp_path / "tasks").mkdir()
    for overlay in Path(FOLDER).glob("*.yaml"):
        text = re.sub(r"  rows: .*\n", "", overlay.read_text()).replace("metadata:\n", "metadata:\n  version: 1\n")
        (tmp_path / "tasks" / overlay.name).write_text(text)
    members = catalogue.find(settings(tmp_path, "mmlu"))[0].members
    write_all(tmp_path / "data", [member.files["test"][0].parent.name for member in members])
    return tmp_path


GENERAL = "eval.tasks=[arc_challenge,mmlu,hellaswag,winogrande,truthfulqa_mc2,gpqa_main_n_shot]"


def test_a_suite_that_is_there_ends_well(general: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = f"eval.task_folders=[{general}/tasks]"
    assert main(["eval=general", GENERAL, own, "--data", str(general / "data")]) == 0
    printed = capsys.readouterr().out
    assert "arc_challenge: there" in printed and "mmlu (57 data sets): there" in printed
    assert "arc_challenge/test.jsonl: 6 rows" in printed and "files  114 of 114\n" in printed


def test_files_with_fewer_rows_than_were_published_are_partial(
    general: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tasks = "eval.tasks=[arc_challenge,mmlu,mmlu_anatomy]"
    assert main(["eval=general", tasks, "--data", str(general / "data")]) == 1
    printed = capsys.readouterr().out
    assert "arc_challenge: PARTIAL" in printed and "arc_challenge/test.jsonl: 6 of 1,172 rows" in printed
    assert "mmlu (57 data sets): PARTIAL" in printed and "114 of 114; test: 114 of 14,042 rows" in printed
    assert "mmlu_anatomy: there" in printed  # how many are published of one subject is not known
    assert "arc_challenge has fewer rows than were published: to fetch all, remove its files" in printed
    assert "--mirror" not in printed


def test_a_mirror_is_offered_only_for_what_can_be_mirrored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval=math", "eval.tasks=[gsm8k,boolq,mmlu_stem]", "--data", str(tmp_path)]) == 1
    printed = capsys.readouterr().out
    assert "crescent-data eval=math 'eval.tasks=[gsm8k,mmlu_stem]' --mirror benchmarks" in printed
    assert "No overlay reads aps/super_glue (boolq) from files." in printed
    assert """python -c "from datasets import load_dataset; load_dataset('aps/super_glue', 'boolq')\"""" in printed
    assert main(["eval=math", "eval.tasks=[boolq]", "--data", str(tmp_path)]) == 1
    assert "--mirror" not in capsys.readouterr().out


def test_files_that_are_there_and_not_named_need_no_mirror(
    general: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("CRESCENT_BENCHMARKS", raising=False)
    monkeypatch.chdir(general)
    (general / "data").rename(general / "benchmarks")
    assert main(["eval=general", "eval.tasks=[mmlu_anatomy]"]) == 1
    printed = capsys.readouterr().out
    assert f"export CRESCENT_BENCHMARKS={general}/benchmarks" in printed and "--mirror" not in printed


def test_what_a_run_lacks_is_named_with_the_command_that_fetches_it() -> None:
    for task, command in (
        ("gsm8k", "`crescent-data eval=x 'eval.tasks=[gsm8k]' --mirror FOLDER`"),
        ("mmlu_anatomy", "`crescent-data eval=x 'eval.tasks=[mmlu_anatomy]' --mirror FOLDER`"),
        ("boolq", "copy the cache of datasets (HF_HOME): no overlay reads it from files"),
    ):
        with pytest.raises(ValueError) as error:
            harness.check(EvaluationSettings("x", (task,), (FOLDER,)))
        assert command in str(error.value) and ("crescent-data" in command or "mirror" not in str(error.value))


def test_what_is_missing_is_named_with_the_command_that_fetches_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["eval=math", "--data", str(tmp_path)]) == 1
    printed = capsys.readouterr().out
    assert "gsm8k/train.jsonl: missing" in printed and "openai/gsm8k (main); rows: train 7,473" in printed
    assert "crescent-data eval=math --mirror benchmarks" in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["eval=mth"],
            "eval=mth is not a choice. There are: full, general, math, math_hard, none, organism, ",
        ),
        (["eval=math", "eval.limit=0"], "eval.limit is 0"),
        (["eval=math", "eval.tasks=[gsm9k]"], "there is no task 'gsm9k'. Did you mean gsm8k"),
    ],
)
def test_a_mistake_is_one_line(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) != 0
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_the_suite_without_tasks_and_tasks_with_files_of_their_own_need_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["eval=none"]) == main(["eval=organism"]) == 0
    assert "organism_gsm: there\n  comes with its task" in capsys.readouterr().out
