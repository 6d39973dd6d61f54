"""Scoring over a real Ray cluster of two workers: the scores and the files of one process, also after interruptions."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from stage_context import stage_context

from crescent.core.context import EngineHandle
from crescent.core.store import Artifact, Store
from crescent.engines import LazyEngine
from crescent.engines.transformers import TransformersSettings
from crescent.engines.weights import Weights
from crescent.evaluation import model
from crescent.evaluation.loglikelihood_journal import Slices
from crescent.evaluation.settings import EvaluationSettings
from crescent.evaluation.stage import Evaluate
from crescent.runtime.local import RayBackend, RayRuntime
from crescent.runtime.workers import RemoteEngine


def evaluate(settings: EvaluationSettings, store: Store, engine: EngineHandle) -> Sequence[Artifact]:
    return Evaluate(settings).run(stage_context(store, engine)).artifacts


@pytest.mark.slow
def test_scores_over_workers_are_those_of_one_process_and_an_interrupted_task_resumes(
    task_folder: Path, tmp_path: Path, tiny_llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """60 choices in 8 slices of 8, 20 answers in shards of 4; the driver is stopped in the third slice."""
    monkeypatch.setattr(model, "REQUESTS_BETWEEN_MARKS", 8)
    settings = EvaluationSettings("t", ("tiny_choice", "tiny_gsm"), (str(task_folder),), shots=(0,), max_new_tokens=20)
    weights, here = Weights("tiny", str(tiny_llama)), TransformersSettings(device="cpu")
    expected = evaluate(settings, Store(tmp_path / "here"), LazyEngine("w", lambda: here.build(weights, "w")))
    store, asked, keep, kept = Store(tmp_path / "ray"), [], Slices.keep, []

    def stopped(self: Slices, *given: Any) -> None:
        if len(kept) == 2:
            raise KeyboardInterrupt
        kept.append(given)
        keep(self, *given)

    each = RemoteEngine.on_workers

    def counted(self: RemoteEngine, use: Any, shards: Sequence[Any]) -> Any:
        asked.append(len(shards))
        return each(self, use, shards)

    monkeypatch.setattr(RemoteEngine, "on_workers", counted)
    with RayRuntime(workers=2, shard=4).start() as place:
        assert isinstance(place, RayBackend)
        engine = LazyEngine("w", lambda: place.engine(here, weights, "w"))
        monkeypatch.setattr(Slices, "keep", stopped)
        with pytest.raises(KeyboardInterrupt):
            evaluate(settings, store, engine)
        monkeypatch.setattr(Slices, "keep", keep)
        made = evaluate(settings, store, engine)
    assert asked == [1, 8, 1, 6]  # prompts that are too long are counted by one worker
    assert [one.key for one in made] == [one.key for one in expected]
    for one, other in zip(made, expected, strict=True):
        for file in ("records.jsonl", "samples.jsonl", "meta.json"):
            assert (one.path / file).read_bytes() == (other.path / file).read_bytes()
