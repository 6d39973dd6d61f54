"""Which runs a row averages: unfinished and shorter ones, repeated ones, those of other suites and seeds."""

from pathlib import Path
from typing import Any

import pytest

from crescent.reporting.analyse.rows import Column
from crescent.reporting.show.tables import markdown

from .runs_on_disk import compared, config_of, copy, only

GSM, PLUS = Column("gsm", 0), Column("plus", 0)


def died(run: Path, to: Path, **changes: Any) -> Path:
    """A run that ended after its base was scored."""
    return copy(run, to, status="failed", **only(run, model="base"), **changes)


def test_a_run_that_died_before_its_student_was_scored_is_not_counted(sweep: Path, tmp_path: Path) -> None:
    found = compared(sweep / "0", sweep / "1", died(sweep / "2", tmp_path / "dead"))
    assert found.students[0].seeds == found.students[0].cells[GSM].seeds == (0, 1)
    assert "| 2 |" in markdown(found)
    assert [note for note in found.notes if "dead has no score of its student (status: failed); it is left out" in note]


def test_a_configuration_whose_runs_all_died_is_named(sweep: Path, tmp_path: Path) -> None:
    found = compared(sweep / "0", died(sweep / "6", tmp_path / "dead"))
    assert len(found.students) == 1 and "dead" in found.notes[0] and len(found.notes) == 1


def test_a_run_killed_between_iterations_is_not_counted(two_iterations: Path, tmp_path: Path) -> None:
    shorter = [
        copy(two_iterations / str(n), tmp_path / str(n), status="running", **only(two_iterations / str(n), at_most=1))
        for n in (1, 2)
    ]
    found = compared(two_iterations / "0", *shorter)
    assert found.students[0].seeds == (0,) and found.students[0].cells[GSM].score.seeds == 1
    assert sum("has no score of the student of iteration 2 of 2 (status: running)" in note for note in found.notes) == 2


def test_a_run_that_a_collapse_ended_counts_with_its_last_student(two_iterations: Path, tmp_path: Path) -> None:
    ended = copy(two_iterations / "1", tmp_path / "ended", **only(two_iterations / "1", at_most=1))
    found = compared(two_iterations / "0", ended)
    cell = found.students[0].cells[GSM]
    assert cell.seeds == (0, 1) and cell.paired and cell.difference is not None and cell.difference.seeds == 2
    assert any(
        "ended ended after iteration 1 of 2 (status: finished); the student of that iteration counts" in note
        for note in found.notes
    )


def test_a_rerun_that_is_still_scoring_does_not_replace_the_finished_run(sweep: Path, tmp_path: Path) -> None:
    before = compared(sweep / "0").students[0].cells[GSM]
    found = compared(sweep / "0", died(sweep / "0", tmp_path / "again"))
    assert found.students[0].cells[GSM] == before
    assert any("again has no score of its student yet" in note for note in found.notes)


def test_two_suites_of_one_configuration_and_seed_are_taken_together(sweep: Path, tmp_path: Path) -> None:
    first = copy(
        sweep / "0", tmp_path / "a", config=config_of(sweep / "0", eval__name="one"), **only(sweep / "0", "gsm")
    )
    then = copy(sweep / "0", tmp_path / "b", **only(sweep / "0", "plus"))
    found, whole = compared(first, then), compared(sweep / "0")
    assert found.students[0].cells == whole.students[0].cells and set(whole.students[0].cells) == {GSM, PLUS}
    assert found.notes == (f"{first} and {then} have one configuration and one seed; their scores are merged",)


def test_suites_that_clash_are_named_and_nothing_else_is_lost(sweep: Path, tmp_path: Path) -> None:
    then = copy(sweep / "1", tmp_path / "z", seed=0, config=config_of(sweep / "0"), **only(sweep / "1", "gsm"))
    found = compared(sweep / "0", then)
    assert found.students[0].cells[GSM].score == compared(sweep / "1").students[0].cells[GSM].score
    assert PLUS in found.students[0].cells
    assert any("their suites differ in gsm, 0-shot: there the latter counts" in note for note in found.notes)


def test_a_task_that_fewer_seeds_have_says_how_many(sweep: Path, tmp_path: Path) -> None:
    less = copy(sweep / "1", tmp_path / "less", **only(sweep / "1", "gsm"))
    found = compared(sweep / "0", less)
    assert found.students[0].cells[PLUS].seeds == (0,) and found.students[0].cells[GSM].seeds == (0, 1)
    assert "| 1-2 |" in markdown(found)
    assert any("plus, 0-shot was scored in 1 of 2 seeds" in note for note in found.notes)


def test_different_seeds_that_are_set_against_each_other_are_named(sweep: Path, tmp_path: Path) -> None:
    config = config_of(sweep / "6", vote__seed=7, train__seed=7)
    other = copy(sweep / "6", tmp_path / "seven", seed=7, config=config)
    found = compared(sweep / "0", other, reference="dedup=none")
    assert any("gsm, 0-shot is compared on seeds 7 against 0" in note for note in found.notes)
    assert not any("both have" in note for note in found.notes)


def test_seeds_that_only_one_has_are_left_out_by_name(sweep: Path) -> None:
    found = compared(sweep / "0", sweep / "1", sweep / "2", sweep / "6", sweep / "7", reference="dedup=none")
    assert any("gsm, 0-shot is compared on seeds 0, 1, which both have" in note for note in found.notes)


def test_scores_without_samples_count_a_shared_base_once(sweep: Path, tmp_path: Path) -> None:
    """Three seeds are not three times as many questions: not surer than the questions of one seed allow."""
    runs = [copy(sweep / str(n), tmp_path / str(n), evaluations=[]) for n in (0, 1, 2)]
    one, three = (compared(*some).students[0].cells[GSM].difference for some in (runs[:1], runs))
    base = compared(*runs).rows[0].cells[GSM].score
    assert base.stderr == pytest.approx(0.01) and one is not None and three is not None
    assert three.stderr >= one.stderr == pytest.approx(0.01 * 2**0.5)


def test_scores_without_samples_and_errors_have_no_difference(sweep: Path, tmp_path: Path) -> None:
    scores = [score | {"stderr": 0.0} for score in only(sweep / "0")["scores"]]
    found = compared(copy(sweep / "0", tmp_path / "run", evaluations=[], scores=scores))
    assert found.students[0].cells[GSM].difference is None
    assert any("gsm, 0-shot has neither samples nor standard errors" in note for note in found.notes)
