"""crescent-compare: its formats and its refusals."""

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from crescent.reporting.compare import main


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
    assert all(word in printed for word in ("gsm, 0-shot", "dedup=none vote.draws=5", "can show", "each student's own"))


def test_csv_holds_every_number_of_every_row(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = list(csv.DictReader(io.StringIO(output(capsys, sweep, "--format", "csv")[0])))
    assert len(rows) == 10 and rows[2]["dedup"] == "none" and rows[2]["seeds"] == "0 1 2"
    student = next(row for row in rows if row["model"] == "student")
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
    ("name", "message"), [("nowhere", "there is no file or folder"), (".", "holds no summary.json")]
)
def test_a_path_without_runs_is_one_line(
    name: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(capsys, tmp_path / name)
    assert message in said and len(said.splitlines()) == 1


def test_nothing_left_to_compare_is_said_with_the_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "summary.json").write_text("[]")
    said = refused(capsys, tmp_path)
    assert "is no summary of a run" in said and "no run is left to compare" in said


def test_the_command_loads_no_model_library(sweep: Path) -> None:
    code = "import sys; from crescent.reporting.compare import main; main(sys.argv[1:]); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, str(sweep / "0")], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"
