"""The axes of an ablation are seen in the configurations themselves."""

from pathlib import Path

import pytest

from crescent.reporting.analyse import axes
from crescent.reporting.read.runs import Run


def run(seed: int = 0, weights: str = "", **settings: object) -> Run:
    names = {key.replace("__", "."): value for key, value in settings.items()}
    stages = ({"stage": "evaluate", "key": weights},) if weights else ()
    return Run(Path("x"), "x", seed, names, (), (), stages, (), None, {})


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


def test_seeds_that_only_some_runs_have_are_no_axes() -> None:
    voted = [run(seed, source__name="crescent", vote__seed=seed) for seed in (0, 1)]
    given = [run(seed, source__name="seed_gold", source__seed=seed) for seed in (0, 1)]
    assert axes.find_axes([*voted, *given]) == ("source.name",)


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


@pytest.mark.parametrize(
    "key",
    [
        "runtime__name", "runtime__workers", "prompting__name", "check", "engine__batching", "engine__urls",
        "engine__in_flight", "engine__kv_cache_gib", "engine__device", "train__devices", "train__micro_batch_tokens",
        "train__gradient_checkpointing", "train__checkpoint_every", "train__strategy",
    ],
)  # fmt: skip
def test_what_changes_no_result_is_no_axis(key: str) -> None:
    one, other = ({key: value} for value in ("a", "b"))
    assert axes.find_axes([run(0, "", **one), run(0, "", **other)]) == ()


def test_names_and_settings_of_a_key_are_axes() -> None:
    names = [run(engine__name="vllm", train__name="full"), run(engine__name="server", train__name="lora")]
    assert axes.find_axes(names) == ("engine.name", "train.name")
    assert axes.find_axes([run(train__epochs=1), run(train__epochs=2)]) == ("train.epochs",)


@pytest.mark.parametrize(("weights", "found"), [(("a", "a"), ()), (("a", "b"), ("model.path",))])
def test_a_model_is_known_by_its_name_unless_the_weights_differ(weights: tuple[str, str], found: axes.Axes) -> None:
    """The same weights may lie elsewhere; with distill=self the student is the teacher and no second axis."""
    places = ("/a/organism", "/b/organism")
    runs = [
        run(
            0, one, model__name="organism", model__path=at, distill__student__name="organism", distill__student__path=at
        )
        for one, at in zip(weights, places, strict=True)
    ]
    assert axes.find_axes(runs) == found


def test_a_sweep_over_models_that_teach_themselves_is_one_axis() -> None:
    runs = [
        run(model__name=name, model__dtype=name, distill__student__name=name, distill__student__dtype=name)
        for name in ("a", "b")
    ]
    assert axes.find_axes(runs) == ("model.name",)


def test_tasks_and_shots_of_a_suite_do_not_change_what_a_score_means() -> None:
    runs = [run(eval__shots=(0,), eval__limit=1), run(eval__shots=(0, 5), eval__limit=2)]
    assert axes.differing_evaluation(runs) == ["eval.limit"]
