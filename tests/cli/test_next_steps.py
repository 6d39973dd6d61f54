"""The last line of a command is a command that works, or the fix of what failed."""

import json
import os
import shlex
from pathlib import Path
from typing import Any

import pytest

from crescent.cli import compare, data, evaluate, export
from crescent.cli.next_steps import after_check, after_comparison, after_data, after_run
from crescent.sweeps.callback import next_step


def test_a_run_names_its_report_and_itself_from_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "outputs" / "my run"
    line = after_run(run, run / "report.html")
    assert line.startswith("next: open 'outputs/my run/report.html' in a browser; ")
    assert "crescent-export data 'outputs/my run' DIR" in line
    monkeypatch.chdir("/")
    assert f"crescent-export model {shlex.quote(os.path.relpath(run))} DIR" in after_run(run, None)


def test_a_check_is_followed_by_the_same_command_without_it() -> None:
    assert after_check(["model=hf", "check=true", "model.path=a b"]) == "next: crescent model=hf 'model.path=a b'"


def test_a_comparison_is_followed_by_its_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("multirun").mkdir()
    assert after_comparison([Path("multirun")], Path("page.html")) == "next: open page.html in a browser"
    assert after_comparison([Path("multirun"), Path("gone")], None).startswith(
        "next: crescent-compare multirun --html "
    )


def test_data_that_are_there_are_scored_next(capsys: pytest.CaptureFixture) -> None:
    assert data.main(["eval=organism"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "next: crescent eval=organism"
    assert after_data(["eval=math"], Path("/my data")) == "next: CRESCENT_BENCHMARKS='/my data' crescent eval=math"


def test_a_sweep_is_compared_if_it_was_scored(tmp_path: Path) -> None:
    for job, scores in (("0", []), ("1", [{"task": "gsm8k"}])):
        (tmp_path / job).mkdir()
        (tmp_path / job / "summary.json").write_text(json.dumps({"scores": scores}))
        line = next_step(tmp_path)
        assert line.startswith("next: crescent-compare " if scores else "next: the same command with a suite")


@pytest.mark.parametrize(
    ("command", "arguments"),
    [(compare, ["run"]), (export, ["data", "run", "there"]), (evaluate, ["run"])],
    ids=["compare", "export", "eval"],
)
def test_a_store_that_is_not_there_is_refused(
    command: Any, arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["command", *arguments, "--store", "/nowhere"])
    with pytest.raises(SystemExit):
        command.main()
    assert "there is no store at /nowhere" in capsys.readouterr().err
