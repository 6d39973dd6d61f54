"""Parts of tasks are paired like tasks, and corrected among themselves."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from crescent.reporting.analyse.results import Comparison
from crescent.reporting.analyse.rows import Column
from crescent.reporting.read.items import read_items
from crescent.reporting.read.runs import read
from crescent.statistics.paired import adjust

from .runs_on_disk import compared
from .synthetic_sweep import Sweep


@pytest.fixture(scope="module")
def parts(sweep: Path) -> Comparison:
    return compared(sweep, parts=True)


def test_a_part_is_paired_on_its_own_items(parts: Comparison) -> None:
    cell = parts.students[0].cells[Column("plus/digit expansion", 0)]
    assert (
        cell.paired and cell.score.questions == 50 and cell.difference is not None and cell.difference.questions == 50
    )
    whole = parts.students[0].cells[Column("plus", 0)]
    some = [
        cell.score.value for column, cell in parts.students[0].cells.items() if column.part not in ("", "answerable")
    ]
    assert np.mean(some) == pytest.approx(whole.score.value) and len(some) == 4


def test_answerable_is_all_but_the_unanswerable_part(tmp_path: Path) -> None:
    """Which part that is stands in the task's own YAML."""
    runs = Sweep(tmp_path, ("none",), (5,), (0,), ("gsm_plus_mini",), (0,), items=200, questions=10).build()
    cell = compared(runs, parts=True).students[0].cells[Column("gsm_plus_mini/answerable", 0)]
    assert cell.paired and cell.score.questions == 150 and cell.difference is not None


def test_parts_cost_the_tasks_no_power(parts: Comparison, sweep: Path) -> None:
    tasks = compared(sweep)
    for row, alone in zip(parts.rows, tasks.rows, strict=True):
        assert {column: row.cells[column] for column in alone.cells} == alone.cells
    assert parts.differences == 8 and parts.part_differences == 20


def test_parts_are_corrected_among_themselves(parts: Comparison) -> None:
    cells = [cell for row in parts.rows for column, cell in row.cells.items() if column.part and cell.difference]
    assert [cell.p for cell in cells] == pytest.approx(adjust([one.difference.p for one in cells if one.difference]))


def test_what_can_be_shown_is_said_at_the_corrected_level(sweep: Path) -> None:
    corrected, alone = (compared(sweep, correction=how).students[0].cells[Column("gsm", 0)] for how in ("holm", "none"))
    assert corrected.difference is not None and alone.difference is not None
    assert corrected.difference.detectable == pytest.approx(alone.difference.corrected_for(8).detectable)
    assert corrected.difference.detectable > 1.2 * alone.difference.detectable


def test_a_part_that_samples_do_not_name_is_unpaired(sweep: Path, tmp_path: Path) -> None:
    shutil.copytree(sweep.parent / "store", tmp_path / "store")
    for file in (tmp_path / "store" / "artifacts" / "evaluate").glob("*/samples.jsonl"):
        file.write_text(file.read_text().replace('"subset": "rephrased"', '"subset": null'))
    found = compared(sweep / "0", store=tmp_path / "store", tasks=("plus/rephrased",))
    assert not found.students[0].cells[Column("plus/rephrased", 0)].paired
    assert any("does not say which questions are rephrased" in note for note in found.notes)


def rewritten(sweep: Path, to: Path, *fields: str) -> Path:
    """Samples of the student's plus, without some fields."""
    run = read(sweep / "0")
    [one] = [one for one in run.evaluations if (one.model, one.task) == ("student", "plus")]
    lines = (Path(one.path) / "samples.jsonl").read_text().splitlines()
    to.write_text(
        "".join(json.dumps({k: v for k, v in json.loads(x).items() if k not in fields}) + "\n" for x in lines)
    )
    return to


def test_clusters_are_those_that_samples_name(sweep: Path, tmp_path: Path) -> None:
    found = read_items(rewritten(sweep, tmp_path / "samples.jsonl", "doc"))
    assert len(set(found.groups)) == 50 and all(name.startswith("plus/") for name in (*found.ids, *found.groups))


def test_early_samples_without_items_have_the_same_names(sweep: Path, tmp_path: Path) -> None:
    now, early = rewritten(sweep, tmp_path / "now"), rewritten(sweep, tmp_path / "early", "item", "cluster", "subset")
    assert read_items(early).ids == read_items(now).ids and read_items(early).groups == read_items(now).groups


def test_verbatim_copies_of_an_item_are_one_cluster(tmp_path: Path) -> None:
    line = {"task": "t", "doc_hash": "a" * 64, "doc": {"question": "x"}, "metrics": {}}
    (tmp_path / "samples.jsonl").write_text((json.dumps(line) + "\n") * 2)
    found = read_items(tmp_path / "samples.jsonl")
    assert found.ids == (f"t/{'a' * 16}", f"t/{'a' * 16}-2") and len(set(found.groups)) == 1
