"""The axes of an ablation are seen in the configurations themselves."""

from pathlib import Path

import pytest

from crescent.reporting import axes
from crescent.reporting.runs import Run


def run(seed: int = 0, **settings: object) -> Run:
    names = {key.replace("__", "."): value for key, value in settings.items()}
    return Run(Path("x"), "x", seed, names, (), (), (), (), None, {})


def test_what_follows_from_a_named_choice_is_no_axis_of_its_own() -> None:
    runs = [
        run(dedup__name="none"),
        run(dedup__name="rejection", dedup__max_rewrites=3, dedup__min_cosine=0.85),
    ]
    assert axes.find_axes(runs) == ("dedup.name",)


def test_a_setting_that_differs_within_a_choice_is_an_axis() -> None:
    runs = [run(vote__name="majority", vote__draws=1), run(vote__name="majority", vote__draws=3)]
    assert axes.find_axes(runs) == ("vote.draws",)


def test_seeds_that_follow_the_runs_seed_and_places_are_no_axes() -> None:
    runs = [run(seed, train__seed=seed, store=f"s{seed}", tracking__name=str(seed)) for seed in (0, 1)]
    assert axes.find_axes(runs) == ()


def test_a_seed_of_its_own_is_an_axis() -> None:
    assert axes.find_axes([run(0, vote__seed=0), run(0, vote__seed=1)]) == ("vote.seed",)


def test_points_are_in_order_of_number_and_runs_of_seed() -> None:
    runs = [run(seed, vote__draws=draws) for draws in (10, 2) for seed in (1, 0)]
    groups = axes.group(runs, ("vote.draws",))
    assert list(groups) == [(2,), (10,)] and [one.seed for one in groups[(2,)]] == [0, 1]


def test_a_reference_is_named_by_the_short_axis_and_must_be_one() -> None:
    points = [("none", 1), ("none", 3), ("rejection", 1)]
    names = ("dedup.name", "vote.draws")
    assert axes.parse_point("dedup=none,vote.draws=3", names, points) == ("none", 3)
    with pytest.raises(
        ValueError, match=r"fits 2 rows instead of one; choose among: dedup=none vote\.draws=1; dedup=none"
    ):
        axes.parse_point("dedup=none", names, points)
    with pytest.raises(
        ValueError, match="names dedpu, which does not differ between the runs; the axes are: dedup, vote"
    ):
        axes.parse_point("dedpu=none", names, points)
