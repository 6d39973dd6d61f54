"""Which models are scored, and whose weights are looked for on this machine."""

import pytest

from crescent.config.composing import composed
from crescent.config.typed import ConfigError
from crescent.experiment import Experiment
from crescent.pipeline import to_score

SMALL = "distill=organism_small"
SERVED = "engine=server"


def experiment(*overrides: str) -> Experiment:
    return Experiment.from_node(composed(overrides))


@pytest.mark.parametrize(
    ("overrides", "first", "later"),
    [
        ([], ["base", "student"], ["student"]),
        ([SMALL], ["teacher", "base", "student"], ["student"]),
        ([SMALL, "eval.models=[student,teacher]"], ["teacher", "student"], ["student"]),
        ([SMALL, "eval.models=[base]"], ["base"], []),
        (["eval.models=[teacher]"], ["base"], []),  # it teaches itself
        (["eval.models=[student]"], ["student"], ["student"]),
        (["eval.models=[base]", "prompting=zero_shot_cot"], ["base", "base"], []),
    ],
)
def test_models_are_scored_in_order_and_those_before_training_once(
    overrides: list[str], first: list[str], later: list[str]
) -> None:
    made = experiment(*overrides)
    student = made.distill.student
    assert [role for role, _, _ in to_score(made, student, first=True)] == first
    assert [role for role, _, _ in to_score(made, student, first=False)] == later


@pytest.mark.parametrize(
    ("overrides", "here"),
    [
        ([SMALL], ["organism", "organism_small"]),
        ([SMALL, "eval.models=[base]"], ["organism", "organism_small"]),  # the engine loads it
        ([SMALL, SERVED], ["organism", "organism_small"]),
        ([SMALL, SERVED, "eval.models=[base,student]"], ["organism_small"]),
        ([SMALL, SERVED, "eval=none"], ["organism_small"]),
        ([SERVED, "eval=none"], ["organism"]),
    ],
)
def test_a_teacher_that_only_a_server_has_is_looked_for_where_it_is_scored(
    overrides: list[str], here: list[str]
) -> None:
    urls = ["engine.urls=[http://a/v1]"] if SERVED in overrides else []
    assert [weights.name for weights in experiment(*overrides, *urls).models_here] == here


def test_prompting_baselines_need_the_base() -> None:
    with pytest.raises(ConfigError, match=r"prompting=zero_shot_cot asks the base model, which eval\.models"):
        experiment("prompting=zero_shot_cot", "eval.models=[student]")


def test_a_teacher_has_its_room_for_thoughts_beside_both_limits() -> None:
    plain, roomy = experiment().stages(), experiment("model.thinking_tokens=100").stages()
    for name in ("elicit", "answer"):
        limits = [getattr(stages, name).sampling.max_new_tokens for stages in (plain, roomy)]
        assert limits[1] - limits[0] == 100
