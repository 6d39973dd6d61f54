"""Summaries are read with their types checked: what is no summary is one line."""

from pathlib import Path
from typing import Any

import pytest

from crescent.reporting.analyse.explain import explain
from crescent.reporting.read.runs import read

from .runs_on_disk import compared, copy, summary

BIN = {"agreement": 1.0, "right": "all", "questions": 3}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scores": [{"value": None}]}, "scores[0].value is None; it must be a number"),
        ({"scores": [{"value": "0.5"}]}, "scores[0].value is '0.5'; it must be a number"),
        ({"scores": [{"value": float("nan")}]}, "must be a finite number"),
        ({"scores": {"a": 1}}, "scores is not a list of groups"),
        ({"stages": [{"iteration": 1, "records": 1}]}, "stages[0].stage is missing"),
        ({"stages": [{"stage": "vote", "iteration": 1}]}, "stages[0].records is missing"),
        ({"stages": [{"stage": "vote", "iteration": 1, "records": 1, "info": None}]}, "info of the stage vote is None"),
        ({"labels": [{}]}, "labels[0].iteration is missing"),
        ({"labels": [{"iteration": 1, "labels_right": 1, "bins": [BIN]}]}, "labels[0].bins[0].right is 'all'"),
        ({"seed": "three"}, "seed is 'three'"),
        ({"status": 3}, "status is 3"),
    ],
)
def test_what_is_no_summary_is_one_line(sweep: Path, tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    if isinstance(changes.get("scores"), list):
        changes = {"scores": [summary(sweep / "0")["scores"][0] | changes["scores"][0]]}
    run = copy(sweep / "0", tmp_path / "run", **changes)
    with pytest.raises(ValueError, match="is not a valid summary of a run") as refused:
        read(run)
    assert message in str(refused.value) and "\n" not in str(refused.value)
    assert compared(sweep / "0", run).students  # the rest is compared


def test_settings_that_are_lists_of_groups_can_be_told_apart(sweep: Path, tmp_path: Path) -> None:
    for number in (0, 1):
        copy(sweep / "0", tmp_path / str(number), config={"x": [{"a": number}]})
    assert compared(tmp_path).axes == ("x",)


def test_a_row_is_explained_by_means_over_its_seeds(sweep: Path, tmp_path: Path) -> None:
    for seed, right in enumerate((0.8, 0.9)):
        labels = [{"iteration": 1, "labels_right": right, "bins": []}]
        copy(sweep / str(seed), tmp_path / str(seed), labels=labels)
    found = explain(compared(tmp_path).students[0])
    accuracy, tokens = found["label_accuracy"], found["tokens"]
    assert accuracy is not None and (accuracy.value, accuracy.seeds) == (pytest.approx(0.85), 2)
    assert accuracy.deviation == pytest.approx(0.05 * 2**0.5)
    assert tokens is not None and tokens.value == 50_000 + 4_000 + 90_000 + 54_000


def test_a_measure_that_no_run_has_is_unknown(sweep: Path, tmp_path: Path) -> None:
    found = explain(compared(copy(sweep / "0", tmp_path / "run", labels=[], stages=[])).students[0])
    assert set(found.values()) == {None}
