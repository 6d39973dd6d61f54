"""How answers are asked for: in which order, and how many at a time."""

import pytest
from echo import Echo

from crescent.core.console import Console
from crescent.core.records import Question
from crescent.core.store import Store
from crescent.engines import LazyEngine, Sampling
from crescent.engines.server import ServerSettings
from crescent.engines.transformers import TransformersSettings
from crescent.engines.vllm import VllmSettings
from crescent.engines.weights import Weights
from crescent.pipeline import lazy_engine
from crescent.runtime.local import LocalBackend, RayBackend
from crescent.voting.answer_stage import Answer

QUESTIONS = [Question(name, name, 0, None) for name in "abc"]
SERVED = ServerSettings(("http://here/v1",), in_flight=8, samples_per_request=4)


def test_all_draws_of_a_question_are_asked_for_together(
    store: Store, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crescent.engines.ledger.COMMIT_EVERY", 4)
    engine = Echo()
    stage = Answer("{question}", Sampling())
    drawn = stage.run(QUESTIONS, lambda draws: 4 - len(draws), 4, store, LazyEngine("e", lambda: engine), console)
    assert engine.asked == [(name, draw) for name in "abc" for draw in range(4)] and engine.calls == 3
    assert [[one.draw for one in draws] for draws in drawn.solutions] == [[0, 1, 2, 3]] * 3


def test_each_question_is_asked_for_as_many_draws_as_it_wants(store: Store, console: Console) -> None:
    engine, most = Echo(), {"a": 1, "b": 3, "c": 2}

    def wanted(draws: list) -> int:
        return 1 if not draws else most[draws[0].question_id] - len(draws)

    stage = Answer("{question}", Sampling())
    drawn = stage.run(QUESTIONS, wanted, 3, store, LazyEngine("e", lambda: engine), console)  # type: ignore[arg-type]
    assert engine.asked == [("a", 0), ("b", 0), ("c", 0), ("b", 1), ("b", 2), ("c", 1)]
    assert [len(draws) for draws in drawn.solutions] == [1, 3, 2]


@pytest.mark.parametrize("settings", [TransformersSettings(max_batch=10), VllmSettings(max_batch=10)])
def test_an_engine_is_asked_for_several_batches_at_a_time(settings: TransformersSettings | VllmSettings) -> None:
    assert settings.preferred_batch >= 40


def test_the_larger_appetite_of_engine_and_place_counts(store: Store) -> None:
    weights = Weights("tiny", "nowhere")
    assert lazy_engine(SERVED, weights, store, LocalBackend()).preferred_batch == 32
    assert lazy_engine(SERVED, weights, store, RayBackend(None, 999)).preferred_batch == 999  # type: ignore[arg-type]
