"""What one setting does, all others equal."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from crescent.reporting.analyse.effects import Effect, effects, last_over_first, never_varied_alone
from crescent.reporting.analyse.results import Comparison
from crescent.reporting.analyse.rows import Column
from crescent.reporting.show.sheets import main_effects

from .runs_on_disk import compared, config_of, copy, only
from .synthetic_sweep import Sweep

GSM = Column("gsm", 0)


@pytest.fixture(scope="module")
def four_draws(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One way to keep questions apart, draws 1 to 8, two seeds."""
    folder = tmp_path_factory.mktemp("draws")
    return Sweep(folder, ("none",), (1, 2, 4, 8), (0, 1), ("gsm",), shots=(0,), items=200, questions=20).build()


def by_name(comparison: Comparison) -> dict[str, Effect]:
    return {effect.what: effect for effect in effects(comparison)}


def scores(comparison: Comparison) -> dict[tuple[object, ...], float]:
    return {row.point: row.cells[GSM].score.value for row in comparison.students}


def test_an_effect_is_the_mean_over_the_places_of_the_other_settings(sweep: Path) -> None:
    comparison = compared(sweep)
    at = scores(comparison)
    expected = np.mean([at[dedup, 5] - at[dedup, 1] for dedup in ("none", "rejection")])
    found = by_name(comparison)["vote.draws: 5 over 1"]
    assert found.strata[GSM] == 2 and found.axis == "vote.draws"
    assert found.differences[GSM].value == pytest.approx(expected) and found.differences[GSM].seeds == 3


def test_with_one_place_it_is_the_difference_of_the_table(sweep: Path) -> None:
    comparison = compared(*(sweep / str(number) for number in range(6)), reference="vote.draws=1")
    row = next(row for row in comparison.students if row.point == (5,))
    found = by_name(comparison)["vote.draws: 5 over 1"].differences[GSM]
    expected = row.cells[GSM].difference
    assert expected is not None and (found.value, found.low, found.high) == pytest.approx(
        (expected.value, expected.low, expected.high)
    )


def test_of_several_places_less_is_left_to_chance_than_of_one(sweep: Path) -> None:
    both = by_name(compared(sweep))["vote.draws: 5 over 1"].differences[GSM]
    one = by_name(compared(*(sweep / str(number) for number in range(6))))["vote.draws: 5 over 1"].differences[GSM]
    assert both.stderr < one.stderr


def test_the_trend_of_numbers_is_the_slope_of_least_squares_and_the_steps_add_up(four_draws: Path) -> None:
    comparison = compared(four_draws)
    at, found = scores(comparison), by_name(comparison)
    slope, _ = np.polyfit([0, 1, 2, 3], [at[draws,] for draws in (1, 2, 4, 8)], 1)
    assert list(found) == [
        "vote.draws: each doubling from 1 to 8", "vote.draws: 2 over 1", "vote.draws: 4 over 2", "vote.draws: 8 over 4"
    ]  # fmt: skip
    trend, *steps = (effect.differences[GSM].value for effect in found.values())
    assert trend == pytest.approx(slope) and sum(steps) == pytest.approx(at[8,] - at[1,])


def test_numbers_of_a_narrow_range_have_a_straight_line_over_all_of_it(four_draws: Path, tmp_path: Path) -> None:
    """The draws called 3, 4 and 6: the line rises by its slope times 3."""
    named = dict(zip((0, 2, 4), (3, 4, 6), strict=True))
    for number, draws in named.items():
        run = four_draws / str(number)
        copy(run, tmp_path / str(draws), config=config_of(run, vote__draws=draws))
    comparison = compared(tmp_path)
    at = scores(comparison)
    slope, _ = np.polyfit([3, 4, 6], [at[draws,] for draws in (3, 4, 6)], 1)
    found = by_name(comparison)["vote.draws: a straight line from 3 to 6"].differences[GSM]
    assert found.value == pytest.approx(3 * slope)


def at_points(
    sweep: Path, folder: Path, points: Sequence[tuple[str, int]], name: str = "dedup", seeds: Sequence[int] = (0,)
) -> Comparison:
    """Runs whose settings are called otherwise; which of the sweep's they are goes by their place."""
    for number, (way, draws) in enumerate(points):
        for seed in seeds:
            run = sweep / str(number % 4 * 3 + seed)
            config = config_of(run, **{f"{name}__name": way, "vote__draws": draws})
            copy(run, folder / f"{number}-{seed}", config=config)
    return compared(folder)


def test_the_trend_of_a_grid_with_holes_has_a_level_for_each_place(sweep: Path, tmp_path: Path) -> None:
    points = [("none", 1), ("none", 2), ("rejection", 8), ("rejection", 2), ("drop", 3)]
    comparison = at_points(sweep, tmp_path, points)
    found = by_name(comparison)["vote.draws: each doubling from 1 to 8"]
    used = points[:4]
    design = np.array([[np.log2(draws), way == "none", way == "rejection"] for way, draws in used], dtype=float)
    values = [scores(comparison)[point] for point in used]
    assert found.strata[GSM] == 2
    assert found.differences[GSM].value == pytest.approx(np.linalg.lstsq(design, np.array(values))[0][0])


def test_the_interval_of_a_trend_holds_what_the_sweep_was_made_with_and_is_narrow(four_draws: Path) -> None:
    """In either seed alone."""
    truth = np.polyfit([0, 1, 2, 3], [0.03 * draws for draws in (1, 2, 4, 8)], 1)[0]
    for seed in (0, 1):
        comparison = compared(*(four_draws / str(2 * number + seed) for number in range(4)))
        found = by_name(comparison)["vote.draws: each doubling from 1 to 8"].differences[GSM]
        assert found.low < truth < found.high and 0.005 < found.high - found.low < 0.2


def test_a_range_is_that_of_the_values_that_were_tried_beside_others(sweep: Path, tmp_path: Path) -> None:
    comparison = at_points(sweep, tmp_path, [("none", 1), ("none", 5), ("rejection", 3)])
    assert list(by_name(comparison)) == ["vote.draws: 5 over 1"]


def test_names_that_were_never_tried_beside_the_first_are_set_against_another(sweep: Path, tmp_path: Path) -> None:
    comparison = at_points(sweep, tmp_path, [("none", 1), ("paper", 5), ("rejection", 5)])
    assert list(by_name(comparison)) == ["dedup: rejection over paper"] and never_varied_alone(comparison) == (
        "vote.draws",
    )


def test_a_setting_that_only_some_have_is_compared_among_those(sweep: Path, tmp_path: Path) -> None:
    settings = [("majority", 5, None), ("adaptive", 16, 0.8), ("adaptive", 16, 0.9), ("adaptive", 16, 0.95)]
    for number, (name, draws, confidence) in enumerate(settings):
        vote = {"name": name, "draws": draws} | ({"confidence": confidence} if confidence else {})
        run = sweep / str(3 * number)
        copy(run, tmp_path / str(number), config={**config_of(run), "vote": vote, "dedup": {"name": "none"}})
    comparison = compared(tmp_path)
    assert "vote.confidence" not in never_varied_alone(comparison)
    assert list(by_name(comparison)) == [
        "vote.confidence: a straight line from 0.8 to 0.95", "vote.confidence: 0.9 over 0.8",
        "vote.confidence: 0.95 over 0.9",
    ]  # fmt: skip


def test_a_task_that_a_row_lacks_is_left_to_the_other_places(sweep: Path, tmp_path: Path) -> None:
    for number in range(12):
        changes = only(sweep / str(number), "gsm") if number < 3 else {}
        copy(sweep / str(number), tmp_path / str(number), **changes)
    found = by_name(compared(tmp_path))["vote.draws: 5 over 1"]
    assert found.strata == {GSM: 2, Column("plus", 0): 1} and found.differences[Column("plus", 0)].seeds == 3


def test_a_run_without_a_task_costs_its_seed_alone_and_that_is_said(sweep: Path, tmp_path: Path) -> None:
    for number in range(12):
        changes = only(sweep / str(number), "gsm") if number == 0 else {}
        copy(sweep / str(number), tmp_path / str(number), **changes)
    comparison = compared(tmp_path)
    assert by_name(comparison)["vote.draws: 5 over 1"].differences[Column("plus", 0)].seeds == 2
    line = next(line for line in main_effects(comparison).lines if "5 over 1" in line[0])
    assert line[1:].count("2") == 1 and "seeds" not in line[2] and line[3].endswith("(2 seeds)")


def test_seeds_that_are_not_shared_are_set_against_each_other_in_order(sweep: Path, tmp_path: Path) -> None:
    for number in range(6):
        seed = number % 3 + (10 if number > 2 else 0)
        copy(sweep / str(number), tmp_path / str(number), seed=seed)
    comparison = compared(tmp_path, reference="vote.draws=1")
    expected = comparison.students[1].cells[GSM].difference
    assert expected is not None
    assert by_name(comparison)["vote.draws: 5 over 1"].differences[GSM].value == pytest.approx(expected.value)


def test_the_bootstrap_is_that_of_the_table(sweep: Path) -> None:
    comparison = compared(*(sweep / str(number) for number in range(6)), reference="vote.draws=1", interval="bootstrap")
    expected = next(row for row in comparison.students if row.point == (5,)).cells[GSM].difference
    found = by_name(comparison)["vote.draws: 5 over 1"].differences[GSM]
    assert expected is not None and (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_runs_that_ended_after_their_first_iteration_are_not_counted_as_no_gain(
    two_iterations: Path, tmp_path: Path
) -> None:
    column = Column("gsm", 0)
    for seed in range(3):
        ended = {**only(two_iterations / str(seed), at_most=1), "status": "collapsed"} if seed == 0 else {}
        copy(two_iterations / str(seed), tmp_path / str(seed), **ended)
    comparison = compared(tmp_path)
    found = last_over_first(comparison, comparison.students[0], column)
    both = compared(two_iterations / "1", two_iterations / "2")
    expected = last_over_first(both, both.students[0], column)
    assert found is not None and expected is not None and (found.value, found.seeds) == (expected.value, 2)


def test_a_grid_with_a_hole_is_used_as_far_as_it_goes(sweep: Path) -> None:
    """Without none x 5: draws are told apart at rejection alone, ways to keep questions apart at one draw."""
    found = by_name(compared(*(sweep / str(number) for number in range(12) if number not in (3, 4, 5))))
    assert {what: effect.strata[GSM] for what, effect in found.items()} == {
        "dedup: rejection over none": 1, "vote.draws: 5 over 1": 1
    }  # fmt: skip


def test_settings_that_change_only_together_are_named(sweep: Path) -> None:
    comparison = compared(*(sweep / str(number) for number in (0, 1, 2, 9, 10, 11)))
    assert effects(comparison) == [] and never_varied_alone(comparison) == ("dedup", "vote.draws")


def test_without_samples_there_is_no_effect(sweep: Path, tmp_path: Path) -> None:
    runs = [copy(sweep / str(number), tmp_path / str(number), evaluations=[]) for number in (0, 3)]
    [effect] = effects(compared(*runs))
    assert effect.differences == {} and main_effects(compared(*runs)).lines == (
        ("vote.draws: 5 over 1", "–", "–", "–"),
    )
