"""Which engine scores what: `eval.engine` resolved, two engines for one suite, scores over a server."""

from pathlib import Path
from typing import Any

import pytest
from configured import experiment
from serving import Behaviour, Serving
from stage_context import stage_context

from crescent.config.typed import ConfigError
from crescent.core.context import EngineHandle
from crescent.core.store import Artifact, Store
from crescent.engines import LazyEngine
from crescent.engines.server import ServerSettings
from crescent.engines.transformers import TransformersSettings
from crescent.engines.transformers.engine import TransformersEngine
from crescent.engines.weights import Weights, load
from crescent.evaluation.settings import EvaluationSettings
from crescent.evaluation.stage import Evaluate
from crescent.pipeline import engine_key
from crescent.sweeps.shared_work import work_items

SMALL = "distill=organism_small"
SERVED = ("engine=server", "engine.urls=[http://a/v1]")


@pytest.mark.parametrize(
    ("overrides", "scores"),
    [
        ([], "transformers"),
        (["engine=vllm"], "vllm"),
        (["engine=vllm", "train.method.rank=513"], "transformers"),  # an adapter that vLLM cannot load
        (["engine=vllm", "train=full"], "vllm"),
        (["engine=vllm", "eval.engine=transformers"], "transformers"),
        (["eval.engine=vllm"], "vllm"),
        ([*SERVED], "transformers"),  # a server cannot load the student, and all models are scored alike
        ([*SERVED, "eval.engine=vllm"], "vllm"),
        ([*SERVED, "eval.engine=server", "eval.models=[base]"], "server"),  # the base is the teacher
        ([*SERVED, "eval.engine=server", SMALL, "eval.models=[teacher]"], "server"),
        ([*SERVED, "eval.engine=server", "eval=none"], "server"),
    ],
)
def test_auto_is_the_run_s_engine_where_it_can_load_the_student(overrides: list[str], scores: str) -> None:
    assert experiment(*overrides).scoring.name == scores


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["eval.engine=server"], r"this run has none: choose engine=server engine\.urls="),
        ([*SERVED, "eval.engine=server"], r"cannot score the trained student: .* eval\.engine=transformers"),
        ([*SERVED, "eval.engine=server", SMALL, "eval.models=[base,teacher]"], r"another model than the teacher"),
        (["eval.engine=vllm", "train.method.rank=513"], r"train\.method\.rank is 513; engine=vllm loads a student"),
        (["eval.engine=fast"], r"eval\.engine.* auto, transformers, vllm, server"),
    ],
)
def test_an_engine_that_cannot_load_what_is_scored_is_refused_with_the_fix(overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        experiment(*overrides)


def test_a_lone_base_of_a_distillation_is_no_model_of_the_server() -> None:
    with pytest.raises(ConfigError, match="another model than the teacher"):
        experiment(*SERVED, "eval.engine=server", SMALL, "eval.models=[base]")


def test_scores_made_in_process_stay_valid_whatever_the_run_generates_with() -> None:
    made = [experiment(*overrides) for overrides in ([], SERVED, ["engine=vllm", "eval.engine=transformers"])]
    assert len({engine_key(one.scoring, "student") for one in made}) == 1


def test_a_plan_tells_scores_of_two_engines_apart() -> None:
    plans = [work_items(experiment(*some, SMALL)) for some in ([], ["eval.engine=vllm"], [*SERVED])]
    base = [next(item.key for item in plan if item.role == "base") for plan in plans]
    assert base[0] == base[2] != base[1]


@pytest.fixture
def settings(task_folder: Path) -> EvaluationSettings:
    return EvaluationSettings("tiny", ("tiny_choice", "tiny_gsm"), (str(task_folder),), shots=(0, 2), max_new_tokens=40)


class Loaded(TransformersEngine):
    """Notes when it is loaded and closed."""

    def __init__(self, name: str, folder: Path, noted: list[str]) -> None:
        super().__init__(*load(Weights("tiny", str(folder)), "cpu"), name)
        self._name, self._noted = name, noted
        noted.append(f"loads {name}")

    def close(self) -> None:
        self._noted.append(f"closes {self._name}")
        super().close()


def evaluate(settings: EvaluationSettings, store: Store, engine: EngineHandle) -> list[Artifact]:
    return list(Evaluate(settings).run(stage_context(store, engine)).artifacts)


def test_two_engines_score_one_suite_and_are_never_loaded_together(
    settings: EvaluationSettings, store: Store, tiny_llama: Path
) -> None:
    noted: list[str] = []
    here = LazyEngine("here", lambda: Loaded("here", tiny_llama, noted))
    other = LazyEngine("other", lambda: Loaded("other", tiny_llama, noted), choices=here)
    made = evaluate(settings, store, other)
    assert [(one.info["task"], one.info["shots"]) for one in made] == [
        ("tiny_choice", 0), ("tiny_choice", 2), ("tiny_gsm", 0), ("tiny_gsm", 2),
    ]  # fmt: skip
    other.close()
    assert noted == ["loads other", "closes other", "loads here", "closes here"]


def test_likelihoods_of_an_engine_in_this_process_are_reused_by_another_engine_and_answers_are_not(
    settings: EvaluationSettings, store: Store, tiny_llama: Path
) -> None:
    def lazy(name: str, choices: LazyEngine | None = None) -> LazyEngine:
        return LazyEngine(name, lambda: Loaded(name, tiny_llama, []), choices=choices)

    evaluate(settings, store, lazy("here"))
    again = evaluate(settings, store, lazy("other", lazy("here")))
    assert {(one.info["task"], one.reused) for one in again} == {("tiny_choice", True), ("tiny_gsm", False)}


def test_scores_over_a_server_are_those_of_the_same_model_in_process(
    settings: EvaluationSettings, store: Store, tmp_path: Path, tiny_llama: Path
) -> None:
    weights = Weights("tiny", str(tiny_llama))
    here = TransformersSettings(device="cpu").build(weights, "w")
    expected = evaluate(settings, Store(tmp_path / "here"), LazyEngine("w", lambda: here))
    behaviour = Behaviour()
    with Serving(TransformersSettings(device="cpu").build(weights, "w"), behaviour) as url:
        served = ServerSettings((url,), model="tiny").build(weights, "served")
        choices = LazyEngine("w", lambda: TransformersSettings(device="cpu").build(weights, "w"))
        made = evaluate(settings, store, LazyEngine("served", lambda: served, choices=choices))
    assert [_scores(one) for one in made] == [_scores(one) for one in expected]
    assert len(behaviour.seen) >= 40  # 20 items at 0 and 2 shots


def test_a_served_model_whose_tokenizer_is_elsewhere_is_refused_with_the_fix() -> None:
    engine: Any = ServerSettings(("http://a/v1",), model="m").build(Weights("far", "someone/far-away"), "w")
    with pytest.raises(ValueError, match=r"tokenizer and config\.json of far are not on this machine: download"):
        _ = engine.tokenizer
    with pytest.raises(ValueError, match=r"eval\.models"):
        _ = engine.config


def _scores(artifact: Artifact) -> bytes:
    return (artifact.path / "records.jsonl").read_bytes()
