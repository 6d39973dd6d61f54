"""crescent-compare: its formats and its refusals."""

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from crescent.cli.compare import main

from .runs_on_disk import config_of, copy


def output(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[str, str]:
    main([str(argument) for argument in arguments])
    printed = capsys.readouterr()
    return printed.out, printed.err


def refused(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    assert stop.value.code == 2
    return capsys.readouterr().err


def test_the_table_says_what_it_compares_and_what_it_could_show(
    sweep: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    printed, _ = output(capsys, sweep)
    assert all(word in printed for word in ("gsm, 0-shot", "dedup=none vote.draws=5", "MDE", "each student's own"))


def test_csv_holds_every_number_of_every_row(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = list(csv.DictReader(io.StringIO(output(capsys, sweep, "--format", "csv")[0])))
    student = next(row for row in rows if row["model"] == "student")
    assert len(rows) == 5 * (2 + 5) and student["dedup"] == "none" and student["seeds"] == "0 1 2"
    assert float(student["difference_low"]) < float(student["difference_value"]) < float(student["difference_high"])


def test_json_is_one_object_with_the_reference_and_the_axes(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed, _ = output(capsys, sweep, "--format", "json", "--reference", "dedup=none,vote.draws=1")
    found = json.loads(printed)
    assert found["axes"] == ["dedup.name", "vote.draws"] and found["reference"] == "dedup=none vote.draws=1"


def test_markdown_has_a_row_for_each_configuration(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = output(capsys, sweep, "--format", "md")[0].splitlines()
    assert lines[0] == "| dedup | vote.draws | seeds | gsm, 0-shot | plus, 0-shot |"
    assert lines[3].startswith("| none | 1 | 3 | ") and len([line for line in lines if line.startswith("|")]) == 7


def test_latex_escapes_what_latex_would_read(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed, _ = output(capsys, sweep, "--format", "latex", "--task", "gsm")
    assert r"\toprule" in printed and "vote.draws" in printed and printed.count(r"\\") == 6


@pytest.mark.parametrize(
    ("name", "message"), [("nowhere", "there is no file or folder"), (".", "contains no summary.json")]
)
def test_paths_without_any_run_are_named_and_refused(
    name: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(capsys, tmp_path / name)
    assert message in said.splitlines()[0] and "no run is left to compare" in said.splitlines()[1]


def test_nothing_left_to_compare_is_said_with_the_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "summary.json").write_text("[]")
    said = refused(capsys, tmp_path)
    assert "is not a valid summary of a run" in said and "no run is left to compare" in said


def test_the_command_loads_no_model_library(sweep: Path) -> None:
    code = "import sys; from crescent.cli.compare import main; main(sys.argv[1:]); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, str(sweep / "0")], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"


def test_a_path_without_a_run_is_named_and_the_rest_is_compared(
    sweep: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "multirun.yaml").write_text("hydra: {}")
    printed, said = output(capsys, sweep, tmp_path / "multirun.yaml", tmp_path / "nowhere")
    [*notes, last] = said.splitlines()
    assert "dedup=none" in printed and len(notes) == 2 and last.startswith("  next: crescent-compare ")
    assert "multirun.yaml contains no summary.json" in said and "there is no file or folder" in said


def test_a_label_with_brackets_is_shown_as_it_is(
    sweep: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, modules in enumerate((["q", "v"], ["[/bold]"])):
        copy(sweep / str(number), tmp_path / str(number), config=config_of(sweep / "0", train__target=modules))
    printed, _ = output(capsys, tmp_path, "--explain", "--iterations")
    assert printed.count("train.target=[q,v]") == 2 + 1 + 2 and "[[/bold]]" in printed


def test_parts_of_tasks_are_shown_when_asked_for(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain, asked = output(capsys, sweep)[0], output(capsys, sweep, "--parts")[0]
    assert "plus/rephrased" not in plain and "plus/rephrased, 0-shot" in asked
    assert "corrected for 8 differences" in " ".join(asked.split())
    assert "corrected among themselves, for 20 differences" in " ".join(asked.split())


def test_what_explains_a_row_is_a_second_table(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = output(capsys, sweep, "--explain", "--format", "md")[0].splitlines()
    header = next(at for at, line in enumerate(lines) if "labels right" in line)
    assert lines[header].split(" | ")[1:5] == ["seeds", "labels right, %", "agreement, %", "Vendi"]
    assert lines[header + 2].startswith(
        "| dedup=none vote.draws=1 | 3 | 82.0 ± 0.0 | 80.0 ± 0.0 | 46.0 ± 0.0 | 60 ± 0 |"
    )


def test_what_each_setting_does_is_a_table_and_in_json(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed, _ = output(capsys, sweep, "--effects", "--format", "md", "--task", "gsm")
    lines = [line for line in printed.splitlines() if " over " in line and line.startswith("|")]
    assert [line.split(" | ")[:2] for line in lines] == [
        ["| dedup: rejection over none", "2"], ["| vote.draws: 5 over 1", "2"],
    ]  # fmt: skip
    found = json.loads(output(capsys, sweep, "--format", "json", "--task", "gsm")[0])["effects"]
    assert [(one["axis"], one["task"], one["seeds"]) for one in found] == [
        ("dedup", "gsm", 3),
        ("vote.draws", "gsm", 3),
    ]
    assert f"{100 * found[1]['value']:+.1f} [" in lines[1]


def test_scores_by_iteration_are_a_table_and_in_json(two_iterations: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = output(capsys, two_iterations, "--iterations", "--format", "md")[0].splitlines()
    header = next(at for at, line in enumerate(lines) if "iteration 0" in line)
    assert (
        lines[header] == "|  | iteration 0 | iteration 1 | iteration 2 | last over first |"
        and lines[header + 2].count("±") == 3
    )
    found = json.loads(output(capsys, two_iterations, "--format", "json")[0])["iterations"]
    assert [one["iteration"] for one in found] == [0, 1, 2] and found[0]["value"] < found[1]["value"] < found[2][
        "value"
    ]


def test_the_last_iteration_is_set_against_the_first_question_by_question(
    two_iterations: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = json.loads(output(capsys, two_iterations, "--format", "json")[0])
    [gained], means = found["last_over_first"], {one["iteration"]: one["value"] for one in found["iterations"]}
    assert gained["value"] == pytest.approx(means[2] - means[1]) and gained["seeds"] == 3


def test_what_was_asked_and_answered_stands_beside_the_scores_by_iteration(
    two_iterations: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in range(3):
        seen = [{"diversity": 20.0 + seed, "label_accuracy": None}, {"diversity": 10.0, "label_accuracy": 0.9}]
        copy(two_iterations / str(seed), tmp_path / str(seed), iterations=seen)
    lines = output(capsys, tmp_path, "--iterations", "--format", "md")[0].splitlines()
    names = ("Vendi as generated", "labels right")
    [diversity], [labels] = ([line for line in lines if name in line] for name in names)
    assert diversity.endswith("| – | 21.0 ± 1.0 | 10.0 ± 0.0 | – |") and labels.endswith("| – | – | 90.0 ± 0.0 | – |")


def test_a_format_without_small_tables_says_so(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "use --format md, or json" in refused(capsys, sweep, "--explain", "--format", "latex")


def test_what_a_prompting_costs_stands_beside_its_score(reasoned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed, _ = output(capsys, reasoned)
    row = next(line for line in printed.splitlines() if "zero_shot_cot" in line)
    assert " tokens" in printed and row.rstrip().endswith("80 + 90")
    assert "80 + 90 tokens" in output(capsys, reasoned, "--format", "md")[0]


def test_costs_are_in_csv_whatever_is_compared(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = next(csv.DictReader(io.StringIO(output(capsys, sweep, "--format", "csv")[0])))
    assert (row["prompt_tokens"], row["new_tokens"]) == ("40.0", "90.0")
    assert "read + written" not in output(capsys, sweep)[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["RUN", "--html", "FOLDER"], "argument --html: FOLDER is a folder; name a file, such as FOLDER/report.html"),
        (["RUN", "--html", "new/"], "argument --html: new/ is a folder; name a file, such as new/report.html"),
        (["RUN", "--html", ""], "argument --html: is empty; give a path"),
        ([""], "argument RUN_OR_SWEEP: is empty; give a path"),
        (["RUN", "--store", "FILE"], "argument --store: FILE is a file; name a folder"),
    ],
)
def test_a_path_that_cannot_be_meant_is_refused(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    names = {"RUN": "nowhere", "FOLDER": str(tmp_path), "FILE": str(tmp_path / "file")}
    with pytest.raises(SystemExit) as stopped:
        main([names.get(one, one) for one in arguments])
    wanted = message.replace("FOLDER", str(tmp_path)).replace("FILE", str(tmp_path / "file"))
    assert stopped.value.code == 2 and capsys.readouterr().err.endswith(f"error: {wanted}\n")
