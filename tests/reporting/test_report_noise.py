"""The noise floor: the same command twice, in two stores."""

import json
from pathlib import Path

import pytest

from crescent.reporting.analyse.noise import noise
from crescent.reporting.analyse.rows import Column
from crescent.reporting.show.sheets import main_effects
from crescent.reporting.show.tables import as_json
from crescent.statistics.paired import paired_difference

from .runs_on_disk import compared, config_of, copy, summary
from .synthetic_sweep import Sweep

GSM = Column("gsm", 0)


@pytest.fixture(scope="module")
def ablation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Draws 1 and 5, one seed."""
    folder = tmp_path_factory.mktemp("ablation")
    return Sweep(folder, ("none",), (1, 5), (0,), ("gsm",), shots=(0,), items=120, questions=20).build()


def again(run: Path, folder: Path, flipped: int) -> Path:
    """The run in another store: equal keys, and a student that answers the first `flipped` items otherwise."""
    evaluations = []
    for one in summary(run)["evaluations"]:
        place = folder / "store" / "artifacts" / "evaluate" / one["key"]
        place.mkdir(parents=True, exist_ok=True)
        rows = [json.loads(line) for line in (Path(one["path"]) / "samples.jsonl").read_text().splitlines()]
        for row in rows[: flipped if one["model"] == "student" else 0]:
            row["metrics"] = {name: 1 - value for name, value in row["metrics"].items()}
        (place / "samples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        (place / "meta.json").write_text((Path(one["path"]) / "meta.json").read_text())
        evaluations.append({**one, "path": str(place)})
    config = config_of(run, store=str(folder / "store"))
    return copy(run, folder / "run", evaluations=evaluations, config=config)


def right(run: Path) -> list[float]:
    [place] = [Path(one["path"]) for one in summary(run)["evaluations"] if one["model"] == "student"]
    lines = (place / "samples.jsonl").read_text().splitlines()
    return [json.loads(line)["metrics"]["exact_match,flexible-extract"] for line in lines]


def test_runs_of_equal_settings_and_seed_in_two_stores_show_the_noise(ablation: Path, tmp_path: Path) -> None:
    other = again(ablation / "0", tmp_path, flipped=9)
    found = {effect.what: effect.differences[GSM] for effect in noise(compared(ablation, other))}
    assert list(found) == ["the same again: the base", "the same again: vote.draws=1, seed 0"]
    assert found["the same again: the base"].value == 0
    student, runs = found["the same again: vote.draws=1, seed 0"], sorted((ablation / "0", other))
    expected = paired_difference(right(runs[1]), right(runs[0]))
    assert (abs(student.value), student.gained + student.lost) == (pytest.approx(abs(expected.value)), 9)
    assert student.high - student.low == pytest.approx(expected.high - expected.low)


def test_it_stands_beside_the_effects_of_settings(ablation: Path, tmp_path: Path) -> None:
    comparison = compared(ablation, again(ablation / "0", tmp_path, flipped=9))
    sheet = main_effects(comparison)
    assert [line[0] for line in sheet.lines] == [
        "vote.draws: 5 over 1", "the same again: the base", "the same again: vote.draws=1, seed 0",
    ]  # fmt: skip
    assert sheet.title.endswith("the noise floor")
    assert {one["axis"] for one in json.loads(as_json(comparison))["effects"]} == {"vote.draws", "noise"}


def test_a_rerun_that_reuses_the_store_is_no_replicate(ablation: Path, tmp_path: Path) -> None:
    assert noise(compared(ablation, copy(ablation / "0", tmp_path / "rerun"))) == []
    assert "noise" not in main_effects(compared(ablation)).title


def test_another_seed_is_no_replicate(ablation: Path, tmp_path: Path) -> None:
    other = again(ablation / "0", tmp_path, flipped=9)
    changed = copy(other, tmp_path / "seed", seed=7, config=config_of(other, seed=7, vote__seed=7, train__seed=7))
    found = noise(compared(ablation, changed))
    assert [effect.what for effect in found if effect.what != "the same again: the base"] == []
