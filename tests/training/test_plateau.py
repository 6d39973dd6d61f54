"""Early stopping: what is held out, when training ends, and that the best parameters are the result."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from stage_context import Steps, stage_context
from test_module import SETTINGS

from crescent.core.records import QAPair, TrainStep
from crescent.core.store import Artifact, Key, Outcome, Store
from crescent.engines.weights import Weights, load_tokenizer
from crescent.training.data import Example, encode_pairs
from crescent.training.methods import Lora
from crescent.training.module import TrainingModule
from crescent.training.plateau import best_step, hold_out, is_measured, is_plateau
from crescent.training.settings import TrainSettings
from crescent.training.stage import Finetune, Learner

STOPPING = replace(
    SETTINGS, stop="plateau", held_out=0.25, stop_every=2, patience=2, epochs=12, batch_size=4, learning_rate=0.05,
    max_length=128, micro_batch_tokens=2000, checkpoint_every=3,
    method=Lora(rank=4, alpha=8, dropout=0.0, target_modules="all-linear"),
)  # fmt: skip
PAIRS = [QAPair(f"q{n}", f"Tom has {n} apples.", f"#### {7 * n % 11} of {n * n}", str(n), 3, 3, 1.0) for n in range(16)]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def curve(*held_out: float | None) -> list[TrainStep]:
    return [
        TrainStep(n, 1, 1.0, 0.1, 9, None if loss is None else {"held_out_loss": loss})
        for n, loss in enumerate(held_out, 1)
    ]


def test_training_ends_after_so_many_measurements_without_a_new_minimum() -> None:
    assert not is_plateau(curve(None, 2.0, None, 1.0, None, 1.5), 2)
    assert is_plateau(curve(None, 2.0, None, 1.0, None, 1.5, None, 1.0), 2)  # an equal loss is no new minimum
    assert not is_plateau(curve(None, None), 1) and best_step(curve(None)) is None
    best = best_step(curve(2.0, 1.0, 1.0))
    assert best is not None and best.step == 2
    assert [step for step in range(1, 8) if is_measured(step, 7, 3)] == [3, 6, 7]


def test_a_seeded_share_of_the_questions_is_held_out_with_all_their_pairs() -> None:
    examples = [Example(f"q{n // 2}", (1, 2, n), 1) for n in range(20)]
    trained, held = hold_out(examples, 0.3, 0)
    assert len(held) == 6 and len(trained) == 14
    assert not {one.question_id for one in trained} & {one.question_id for one in held}
    assert hold_out(examples, 0.3, 0) == (trained, held) != hold_out(examples, 0.3, 1)
    assert len(hold_out(examples[:4], 0.99, 0)[0]) == 2  # never all


def test_a_single_question_cannot_be_held_out() -> None:
    with pytest.raises(ValueError, match=r"train\.stop=never"):
        hold_out([Example("q", (1, 2), 1)] * 5, 0.5, 0)


def finetune(root: Path, model: Path, settings: TrainSettings = STOPPING, curve: Any = None) -> Artifact:
    store, learner = Store(root), Learner(Weights("tiny", str(model)), "w")
    pairs = store.build(Key("vote", 1, {}), lambda work: Outcome(records=PAIRS))
    return Finetune(settings).run(stage_context(store, events=Steps(curve) if curve else None), learner, pairs)


def held_out_loss(folder: Path, artifact: Artifact) -> float:
    """Nats per target token of the held-out pairs, by the model that the artifact holds."""
    weights = Weights("tiny", str(folder))
    model, _ = STOPPING.method.load(STOPPING.method.trained(weights, artifact.path, artifact.key))
    _, held = hold_out(encode_pairs(PAIRS, load_tokenizer(weights), 128).examples, STOPPING.held_out, STOPPING.seed)
    module = TrainingModule(model, STOPPING, 1, 2, print)
    return module.shares(held, module._loss.sizes(held))[0].item()


class _Killed(BaseException):
    pass


def test_the_best_parameters_are_kept_also_by_a_run_that_was_killed(tiny_llama: Path, tmp_path: Path) -> None:
    def kill(metrics: Any, step: int) -> None:
        if step == killed_at:
            raise _Killed

    whole = finetune(tmp_path / "whole", tiny_llama)
    steps = whole.read(TrainStep)
    measured = {step.step: (step.metrics or {}).get("held_out_loss") for step in steps}
    best, last = whole.info["best_step"], steps[-1].step
    assert best < last < 36 and last == best + 4 and measured[best] == whole.info["held_out_loss"]
    assert 0 < whole.info["held_out"] < whole.info["pairs"]
    assert held_out_loss(tiny_llama, whole) == pytest.approx(measured[best], abs=1e-4)
    assert held_out_loss(tiny_llama, whole) < (measured[last] or 0)
    killed_at = best + 3
    with pytest.raises(_Killed):
        finetune(tmp_path / "killed", tiny_llama, curve=kill)
    resumed = finetune(tmp_path / "killed", tiny_llama)
    for file in ("adapter/adapter_model.safetensors", "records.jsonl", "meta.json"):
        assert (resumed.path / file).read_bytes() == (whole.path / file).read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_two_processes_stop_as_one(strategy: Any, tiny_llama: Path, tmp_path: Path) -> None:
    one = finetune(tmp_path / "one", tiny_llama)
    two = finetune(tmp_path / "two", tiny_llama, replace(STOPPING, devices=2, strategy=strategy))
    assert two.info["best_step"] == one.info["best_step"] and two.records == one.records
    assert held_out_loss(tiny_llama, two) == pytest.approx(held_out_loss(tiny_llama, one), rel=1e-3)


def test_what_matters_only_with_plateau_changes_no_other_key(tiny_llama: Path) -> None:
    weights = Weights("tiny", str(tiny_llama))
    never = replace(STOPPING, stop="never")
    assert never.resolved(weights) == replace(never, patience=9, held_out=0.5).resolved(weights)


@pytest.mark.parametrize("changed", [{"stop": "soon"}, {"held_out": 1.0}, {"stop_every": 0}, {"patience": 0}])
def test_bad_settings_are_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(changed))):
        replace(STOPPING, **changed)
