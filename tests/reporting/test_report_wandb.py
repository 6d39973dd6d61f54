"""The comparison in W&B: what is logged offline, and the specification of the report, without a login."""

import json
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from crescent.core.console import Console
from crescent.reporting.analyse.results import Comparison, Options, compare
from crescent.reporting.read.runs import read_all
from crescent.reporting.show.page import write_page
from crescent.reporting.show.wandb_report import _the, publish, run_id, specification


@pytest.fixture(scope="module")
def comparison(sweep: Path) -> Comparison:
    for number in range(12):
        (sweep / str(number) / "wandb" / f"offline-run-20260101_120000-id{number}").mkdir(parents=True)
    runs, notes = read_all([sweep])
    return compare(runs, Options(), Console(quiet=True), notes)


def test_the_specification_groups_bars_by_each_axis(comparison: Comparison) -> None:
    pytest.importorskip("wandb_workspaces", reason="needs the extra `report`")
    spec: dict[str, Any] = json.loads(
        specification(comparison, "crescent", "me")._to_model().model_dump_json(by_alias=True)
    )
    grids = [block for block in spec["spec"]["blocks"] if block["type"] == "panel-grid"]
    keys = [grid["metadata"]["runSets"][0]["grouping"] for grid in grids]
    names = [[key["name"] for key in grouping] for grouping in keys]
    assert names == [["dedup.value.name"], ["vote.value.draws"], []]
    bars = grids[0]["metadata"]["panelBankSectionConfig"]["panels"]
    assert [bar["config"]["metrics"] for bar in bars] == [
        ["summary_metrics.score/student/gsm/0"], ["summary_metrics.score/student/plus/0"],
    ]  # fmt: skip


def test_the_specification_takes_the_compared_runs_alone(comparison: Comparison) -> None:
    pytest.importorskip("wandb_workspaces", reason="needs the extra `report`")
    text = specification(comparison, "crescent", "me")._to_model().model_dump_json(by_alias=True)
    assert all(f'"id{number}"' in text for number in range(12)) and "vote.draws" in text
    assert run_id(comparison.runs[3].folder) == "id3"


def test_offline_the_comparison_is_logged_and_the_upload_is_named(comparison: Comparison, tmp_path: Path) -> None:
    page = write_page(comparison, tmp_path / "report.html", Console(quiet=True))
    lines = publish(comparison, page, None, None, tmp_path)
    command = shlex.split(lines[-1])
    assert command[:2] == ["wandb", "sync"] and len(command) == 2 + 1 + 12
    assert all(Path(folder).is_dir() for folder in command[2:])
    assert run_id(tmp_path) is None  # beside the page, and not taken for the run whose folder it is in
    tool = Path(sys.executable).with_name("wandb")
    [log] = Path(command[2]).glob("*.wandb")
    read = subprocess.run([tool, "leet", "inspect", "--json", str(log)], capture_output=True, text=True, check=True)
    assert "comparison/gsm/0" in read.stdout
    tables = [json.loads(file.read_text()) for file in Path(command[2]).glob("files/media/table/comparison*.json")]
    assert any({"dedup", "vote.draws", "difference_value"} <= set(table["columns"]) for table in tables)


def test_runs_that_are_not_tracked_are_refused(iterations: Path, tmp_path: Path) -> None:
    runs, notes = read_all([iterations])
    with pytest.raises(ValueError, match="none of these runs is tracked"):
        publish(compare(runs, Options(), Console(quiet=True), notes), None, "crescent", None, tmp_path)


def test_the_project_is_that_of_the_runs(comparison: Comparison) -> None:
    assert _the(comparison, "project") == "synthetic" and _the(comparison, "entity") is None


def test_runs_of_two_projects_are_refused_without_a_choice(comparison: Comparison) -> None:
    first, *rest = comparison.runs
    other = replace(first, settings={**first.settings, "tracking.project": "other"})
    with pytest.raises(ValueError, match="several W&B projects"):
        _the(replace(comparison, runs=(other, *rest)), "project")
