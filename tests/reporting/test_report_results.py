"""What a comparison says: pairs, references, seeds, and what cannot be compared."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from crescent.reporting.analyse.rows import Column
from crescent.reporting.read.runs import find, read
from crescent.statistics.paired import adjust, paired_difference

from .runs_on_disk import compared, config_of, copy


def test_seeds_of_a_configuration_are_one_row_and_the_base_is_listed_once(sweep: Path) -> None:
    found = compared(sweep)
    assert found.axes == ("dedup.name", "vote.draws")
    assert [row.label for row in found.rows][:2] == ["base (made up)", "dedup=none vote.draws=1"]
    assert len(found.rows) == 5 and found.students[0].seeds == (0, 1, 2)


def test_a_difference_is_that_of_the_samples_question_by_question(sweep: Path) -> None:
    runs = [read(folder) for folder in find([sweep])[0]][:3]
    right: dict[str, list[list[float]]] = {"base": [], "student": []}
    for run in runs:
        for one in run.evaluations:
            if one.task == "gsm":
                lines = (Path(one.path) / "samples.jsonl").read_text().splitlines()
                right[one.model].append([json.loads(line)["metrics"]["exact_match,flexible-extract"] for line in lines])
    expected = paired_difference(right["student"], right["base"])
    found = compared(sweep).students[0].cells[Column("gsm", 0)].difference
    assert found is not None and found.value == pytest.approx(expected.value)
    assert (found.stderr, found.low, found.p) == pytest.approx((expected.stderr, expected.low, expected.p))
    assert found.value == pytest.approx(np.mean(right["student"]) - np.mean(right["base"]))


def test_variants_of_one_question_are_grouped(sweep: Path) -> None:
    found = compared(sweep).students[0].cells[Column("plus", 0)].score
    assert (found.questions, found.clusters) == (200, 50)


def test_stars_come_after_correction_for_all_differences(sweep: Path) -> None:
    found = compared(sweep)
    cells = [cell for row in found.rows for cell in row.cells.values() if cell.difference]
    assert found.differences == 8
    assert [cell.p for cell in cells] == pytest.approx(adjust([cell.difference.p for cell in cells if cell.difference]))
    assert all(bool(cell.stars) == ((cell.p or 0) < 0.05) for cell in cells)


def test_another_configuration_can_be_the_reference(sweep: Path) -> None:
    found = compared(sweep, reference="dedup=none,vote.draws=1")
    rows = {row.label: row.cells[Column("gsm", 0)].difference for row in found.rows}
    better = rows["dedup=none vote.draws=5"]
    assert rows["dedup=none vote.draws=1"] is None and rows["base (made up)"] is None
    assert better is not None and better.value > 0.05 and better.seeds == 3


def test_items_are_paired_by_their_content_and_not_by_their_place(sweep: Path, tmp_path: Path) -> None:
    run = read(sweep / "0")
    moved = tmp_path / "store"
    shutil.copytree(sweep.parent / "store", moved)
    before = compared(sweep / "0").students[0].cells[Column("gsm", 0)].difference
    student = next(one for one in run.evaluations if (one.model, one.task) == ("student", "gsm"))
    file = moved / "artifacts" / "evaluate" / student.key / "samples.jsonl"
    file.write_text("\n".join(reversed(file.read_text().splitlines())) + "\n")
    assert compared(sweep / "0", store=moved).students[0].cells[Column("gsm", 0)].difference == before


def test_only_common_items_are_compared_and_that_is_said(sweep: Path, tmp_path: Path) -> None:
    moved = tmp_path / "store"
    shutil.copytree(sweep.parent / "store", moved)
    student = next(one for one in read(sweep / "0").evaluations if (one.model, one.task) == ("student", "gsm"))
    file = moved / "artifacts" / "evaluate" / student.key / "samples.jsonl"
    file.write_text("\n".join(file.read_text().splitlines()[:150]) + "\n")
    found = compared(sweep / "0", store=moved)
    difference = found.students[0].cells[Column("gsm", 0)].difference
    assert difference is not None and difference.questions == 150
    assert any("gsm, 0-shot is compared on the 150 shared questions, of 200" in note for note in found.notes)


def test_a_moved_store_is_named_and_differences_are_unpaired(sweep: Path, tmp_path: Path) -> None:
    evaluations = json.loads((sweep / "0" / "summary.json").read_text())["evaluations"]
    gone = [{**one, "path": str(tmp_path / "gone" / "artifacts" / "evaluate" / one["key"])} for one in evaluations]
    config = {"store": "nowhere"}
    run = copy(sweep / "0", tmp_path / "run", evaluations=gone, config=config)
    found = compared(run)
    cell = found.students[0].cells[Column("gsm", 0)]
    assert not cell.paired and cell.difference is not None and "--store" in found.notes[0]
    assert compared(run, store=sweep.parent / "store").students[0].cells[Column("gsm", 0)].paired


def test_an_old_summary_is_compared_unpaired_with_one_line(sweep: Path, tmp_path: Path) -> None:
    found = compared(copy(sweep / "0", tmp_path / "old", evaluations=[]))
    assert len(found.notes) == 1 and "did not record where the samples are" in found.notes[0]
    assert not found.students[0].cells[Column("gsm", 0)].paired


def test_runs_without_scores_and_corrupt_summaries_are_named_and_the_rest_compared(sweep: Path, tmp_path: Path) -> None:
    copy(sweep / "0", tmp_path / "a")
    copy(sweep / "0", tmp_path / "b", scores=[])
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "summary.json").write_text('{"experiment": "x", ')
    found = compared(tmp_path)
    assert len(found.students) == 1 and len(found.notes) == 2
    assert any("b has no scores" in note for note in found.notes)
    assert any("c/summary.json is not a valid summary of a run" in note for note in found.notes)


def test_fields_that_a_later_version_adds_are_passed_over(sweep: Path, tmp_path: Path) -> None:
    raw = json.loads((sweep / "0" / "summary.json").read_text())
    grown = {name: [{**row, "later": 1} for row in raw[name]] for name in ("scores", "evaluations", "stages")}
    found = compared(copy(sweep / "0", tmp_path / "later", **grown, later=1))
    assert not found.notes and found.students[0].cells[Column("gsm", 0)].paired


def test_runs_with_different_suites_are_compared_where_they_meet(sweep: Path, tmp_path: Path) -> None:
    raw = json.loads((sweep / "6" / "summary.json").read_text())
    scores = [score for score in raw["scores"] if score["task"] == "gsm"]
    other = copy(sweep / "6", tmp_path / "other", scores=scores)
    found = compared(sweep / "0", other, reference="dedup=rejection")
    row = next(row for row in found.students if "none" in row.label)
    assert row.cells[Column("gsm", 0)].difference is not None and row.cells[Column("plus", 0)].difference is None
    assert any("plus, 0-shot was not scored for dedup=rejection" in note for note in found.notes)


def test_a_prompting_baseline_is_compared_with_plainly_asking_the_same_model(reasoned: Path, tmp_path: Path) -> None:
    """The same in the same run, whatever other models of that name are compared."""
    other = copy(reasoned / "0", tmp_path / "other", seed=1, scores=[], evaluations=[])
    raw = json.loads((reasoned / "0" / "summary.json").read_text())
    weaker = [score | {"value": 0.1} for score in raw["scores"] if score["model"] == "base"]
    copy(reasoned / "0", other / "weaker", seed=0, scores=weaker, evaluations=[], config={"vote": {"draws": 9}})
    found = compared(other / "weaker", reasoned)
    row = next(row for row in found.rows if row.prompting == "zero_shot_cot" and row.runs[0].evaluations)
    scores = {(one["prompting"], one["filter"]): one["value"] for one in raw["scores"] if one["model"] == "base"}
    gained = scores["zero_shot_cot", "flexible-extract"] - scores["none", "flexible-extract"]
    cell = row.cells[Column("gsm", 0)]
    assert row.label == "base (made up), zero_shot_cot" and cell.paired and cell.difference is not None
    assert cell.difference.value == pytest.approx(gained) and gained > 0


def test_a_base_asked_otherwise_can_be_the_reference(reasoned: Path) -> None:
    column = Column("gsm", 0)
    plain, otherwise = (compared(reasoned, reference=name) for name in ("base", "prompting=zero_shot_cot"))
    gains = {row.prompting: row.cells[column].difference for row in plain.rows if row.role == "base"}
    student = plain.students[0].cells[column].difference
    assert student is not None and (gained := gains["zero_shot_cot"]) is not None and gained.value > 0
    found = {row.prompting: row.cells[column].difference for row in otherwise.rows if row.role == "base"}
    against = otherwise.students[0].cells[column].difference
    assert found["zero_shot_cot"] is None and found["none"] is not None and against is not None
    assert found["none"].value == pytest.approx(-gained.value)
    assert against.value == pytest.approx(student.value - gained.value)
    assert "with zero_shot_cot" in otherwise.reference.label
    assert otherwise.reference.of_baselines == "the same model with zero_shot_cot"
    with pytest.raises(ValueError, match=r"prompting=cot: no base was scored with it; there are: none, zero_shot_cot"):
        compared(reasoned, reference="prompting=cot")


def test_seeds_that_share_a_prompting_baseline_count_once(reasoned: Path, tmp_path: Path) -> None:
    again = copy(
        reasoned / "0", tmp_path / "again", seed=1, config=config_of(reasoned / "0", train__seed=1, vote__seed=1)
    )
    one, two = (compared(*runs).rows[1].cells[Column("gsm", 0)] for runs in ([reasoned], [reasoned, again]))
    assert two.difference == one.difference and two.difference is not None and two.difference.seeds == 1


def test_a_run_that_was_repeated_counts_once(sweep: Path, tmp_path: Path) -> None:
    copy(sweep / "0", tmp_path / "z")
    found = compared(sweep / "0", tmp_path / "z")
    assert len(found.students) == 1 and found.students[0].seeds == (0,)
    assert any("one configuration and one seed; the latter counts" in note for note in found.notes)


def test_an_unknown_task_or_metric_is_refused_with_what_there_is(sweep: Path) -> None:
    with pytest.raises(ValueError, match="--task gms was not scored; there are: gsm, plus"):
        compared(sweep, tasks=("gms",))
    with pytest.raises(ValueError, match="--metric acc was not reported; there are: exact_match,flexible-extract"):
        compared(sweep, metric="acc")


def test_the_bootstrap_gives_nearly_the_same_interval(sweep: Path) -> None:
    for way in ("analytic", "bootstrap"):
        found = compared(sweep / "0", interval=way).students[0].cells[Column("gsm", 0)].difference
        assert found is not None and found.high - found.low == pytest.approx(0.08, abs=0.05)


def test_folders_inside_a_store_and_a_link_to_a_run_are_not_runs_of_their_own(sweep: Path, tmp_path: Path) -> None:
    copy(sweep / "0", tmp_path / "run")
    copy(sweep / "0", tmp_path / "store" / "artifacts" / "x")
    (tmp_path / "latest").symlink_to(tmp_path / "run")
    assert find([tmp_path, tmp_path / "latest"]) == ([tmp_path / "run"], [])
