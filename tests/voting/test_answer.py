"""How answers are asked for: in which order, and how many at a time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest
from echo import Echo
from stage_context import stage_context

from crescent.core.console import Console
from crescent.core.records import Question, Solution
from crescent.core.store import Artifact, Key, Outcome, Store
from crescent.engines import LazyEngine, Sampling
from crescent.engines.server import ServerSettings
from crescent.engines.transformers import TransformersSettings
from crescent.engines.vllm import VllmSettings
from crescent.engines.weights import Weights
from crescent.pipeline import lazy_engine
from crescent.runtime.cluster import ClusterSettings
from crescent.runtime.local import LocalBackend, RayBackend
from crescent.runtime.workers import Workers
from crescent.voting.answer_stage import Answer
from crescent.voting.draws import FixedDraws

QUESTIONS = [Question(name, name, 0, None) for name in "abc"]
SERVED = ServerSettings(("http://here/v1",), in_flight=8, samples_per_request=4)


def questions_of(store: Store) -> Artifact:
    return store.build(Key("diversify", 1, {}), lambda work: Outcome(QUESTIONS))


def test_all_draws_of_a_question_are_asked_for_together(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crescent.engines.ledger.COMMIT_EVERY", 4)
    engine = Echo()
    context = stage_context(store, LazyEngine("e", lambda: engine))
    drawn = Answer("{question}", Sampling()).run(context, questions_of(store), until=FixedDraws(4))
    assert engine.asked == [(name, draw) for name in "abc" for draw in range(4)] and engine.calls == 3
    assert [[one.draw for one in draws] for draws in drawn.solutions] == [[0, 1, 2, 3]] * 3


@dataclass(frozen=True)
class ByQuestion:
    """The first draw of a question tells how many it needs."""

    most: dict[str, int]
    name: str = "by question"

    @property
    def draws(self) -> int:
        return max(self.most.values())

    def wanted(self, store: Store) -> Callable[[Sequence[Solution]], int]:
        return lambda draws: self.most[draws[0].question_id] - len(draws) if draws else 1


def test_each_question_is_asked_for_as_many_draws_as_it_wants(store: Store) -> None:
    engine = Echo()
    context = stage_context(store, LazyEngine("e", lambda: engine))
    until = ByQuestion({"a": 1, "b": 3, "c": 2})
    drawn = Answer("{question}", Sampling()).run(context, questions_of(store), until=until)
    assert engine.asked == [("a", 0), ("b", 0), ("c", 0), ("b", 1), ("b", 2), ("c", 1)]
    assert [len(draws) for draws in drawn.solutions] == [1, 3, 2]


@pytest.mark.parametrize("settings", [TransformersSettings(max_batch=10), VllmSettings(max_batch=10)])
def test_an_engine_is_asked_for_several_batches_at_a_time(settings: TransformersSettings | VllmSettings) -> None:
    assert settings.preferred_batch >= 40


def test_the_larger_preferred_batch_of_engine_and_backend_counts(store: Store, console: Console) -> None:
    weights = Weights("tiny", "nowhere")
    assert lazy_engine(SERVED, weights, store, LocalBackend(), console).preferred_batch == 32
    for gpus, shard, wanted in ((0, None, 3 * 4 * 128), (0, 10, 3 * 10 * 4), (1, None, 3 * 4 * 128), (0, 2, 32)):
        workers = Workers(ClusterSettings(None, 3, 1, gpus), shard, 1)
        assert lazy_engine(SERVED, weights, store, RayBackend(workers), console).preferred_batch == wanted
    assert [Workers(ClusterSettings(None, 3, 1, gpus), None, 1).shard_of(2048) for gpus in (0, 1)] == [128, 2048]
