"""What one setting does, all others equal."""

from pathlib import Path

import numpy as np
import pytest

from crescent.reporting.effects import Effect, alone, effects
from crescent.reporting.results import Comparison
from crescent.reporting.rows import Column

from .runs_on_disk import compared, config_of, copy
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
    assert found.strata == 2 and found.axis == "vote.draws"
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


def test_a_grid_with_a_hole_is_used_as_far_as_it_goes(sweep: Path) -> None:
    """Without none x 5: draws are told apart at rejection alone, ways to keep questions apart at one draw."""
    found = by_name(compared(*(sweep / str(number) for number in range(12) if number not in (3, 4, 5))))
    assert {what: effect.strata for what, effect in found.items()} == {
        "dedup: rejection over none": 1, "vote.draws: 5 over 1": 1
    }  # fmt: skip


def test_settings_that_change_only_together_are_named(sweep: Path) -> None:
    comparison = compared(*(sweep / str(number) for number in (0, 1, 2, 9, 10, 11)))
    assert effects(comparison) == [] and alone(comparison) == ("dedup", "vote.draws")


def test_without_samples_there_is_no_effect(sweep: Path, tmp_path: Path) -> None:
    runs = [copy(sweep / str(number), tmp_path / str(number), evaluations=[]) for number in (0, 3)]
    [effect] = effects(compared(*runs))
    assert effect.differences == {}
