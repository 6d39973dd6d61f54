"""Which models are scored, and whose weights are looked for on this machine."""

from typing import Any

import pytest

from crescent.config.composing import composed
from crescent.config.typed import ConfigError
from crescent.core.context import EngineHandle, Stage
from crescent.evaluation.stage import Evaluate
from crescent.experiment import Experiment
from crescent.pipeline import run, to_score
from crescent.sweeps.shared_work import Planner

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


class Scoring(Planner):
    """Runs nothing, notes who is scored, and fails at the scoring of `broken`."""

    def __init__(self, experiment: Experiment, seen: list[str], broken: str = "") -> None:
        super().__init__(experiment)
        self._seen, self._broken = seen, broken

    def do(self, stage: Stage, *inputs: Any, engine: EngineHandle | None = None, **options: Any) -> Any:
        if isinstance(stage, Evaluate) and engine is not None:
            self._seen.append(f"scores {engine.name}")
            if stage.model == self._broken:
                raise MemoryError("too large")
        return super().do(stage, *inputs, engine=engine, **options)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The engines that score and those that are closed, in order."""
    noted: list[str] = []
    engine = "crescent.sweeps.shared_work._PlannedEngine"
    monkeypatch.setattr(f"{engine}.close", lambda engine: noted.append(f"closes {engine.name}"))
    return noted


def test_an_engine_that_has_scored_is_closed_before_the_next_one_scores(seen: list[str]) -> None:
    made = experiment(SMALL).resolved()
    run(made, Scoring(made, seen))
    teacher, base, student = made.model.name, made.distill.student.name, seen[-1].removeprefix("closes ")
    assert seen == [f"{does} {name}" for name in (teacher, base, student) for does in ("scores", "closes")]


def test_an_engine_whose_scoring_fails_is_closed_too(seen: list[str]) -> None:
    made = experiment(SMALL).resolved()
    with pytest.raises(MemoryError):
        run(made, Scoring(made, seen, broken="teacher"))
    assert seen == [f"scores {made.model.name}", f"closes {made.model.name}"]
