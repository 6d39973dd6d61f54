"""Preferences: the loss against its formula, its independence of memory, and the refusal of what cannot work."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from stage_context import Steps, stage_context
from teaching import with_random_adapter

from crescent.core.records import QAPair, TrainStep
from crescent.core.store import Artifact, Key, Outcome, Store
from crescent.engines.weights import Weights, load_tokenizer
from crescent.training.batch_schedule import Step
from crescent.training.batching import Packed
from crescent.training.data import Example, encode_pairs
from crescent.training.methods import Full, Lora
from crescent.training.module import Batch, TrainingModule
from crescent.training.objective import Dpo
from crescent.training.settings import TrainSettings
from crescent.training.stage import Finetune, Learner

DPO = Dpo(beta=0.5, alpha=1.0, undisputed="sft")
SETTINGS = TrainSettings(
    name="lora", method=Lora(rank=4, alpha=8, dropout=0.0, target_modules="all-linear"), learning_rate=0.01, epochs=2,
    batch_size=4, max_length=128, schedule="cosine", warmup_ratio=0.1, weight_decay=0.01, max_grad_norm=1.0, seed=0,
    precision="32-true", micro_batch_tokens=2000, checkpoint_every=2, objective=DPO,
)  # fmt: skip
PAIRS = [
    QAPair(f"q{n}", f"Tom has {n} apples and gives {n // 2} to Ann." + " Think." * (n % 5), f"#### {n - n // 2}",
           str(n - n // 2), 3, 4, 0.75, f"Perhaps #### {n + 1}" if n % 4 else None, n % 4 / 4)
    for n in range(12)
]  # fmt: skip


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def examples(folder: Path) -> list[Example]:
    return encode_pairs(PAIRS, load_tokenizer(Weights("tiny", str(folder))), 128, contrasts=True).examples


def trained_a_little(folder: Path) -> Any:
    """A model whose adapter changes what it says, so that the reference differs from it."""
    return with_random_adapter(SETTINGS.method.load(Weights("tiny", str(folder)))[0])


def gradients(folder: Path, settings: TrainSettings) -> tuple[list[float], dict[str, torch.Tensor]]:
    module = TrainingModule(trained_a_little(folder), settings, 1, 2, print)
    module.manual_backward = lambda loss: loss.backward()  # type: ignore[method-assign,assignment]  # no Trainer here
    made = examples(folder)
    with module.layout.prepare(module.model):
        shares = module._gradients(Batch(Step(1, 1, tuple(range(len(made)))), made))
    return shares, {name: value.grad for name, value in module.trained_parameters().items() if value.grad is not None}


def by_the_formula(folder: Path) -> float:
    """The paper's loss, sequence by sequence, in float64."""
    model, losses = trained_a_little(folder).double(), []

    def log_prob(one: Example) -> torch.Tensor:
        logits = model(input_ids=torch.tensor([one.ids])).logits[0, one.prompt_tokens - 1 : -1].log_softmax(-1)
        return logits[range(one.target_tokens), list(one.ids[one.prompt_tokens :])].sum()

    def ratio(one: Example) -> torch.Tensor:
        with model.disable_adapter():
            before = log_prob(one)
        return log_prob(one) - before

    for one in examples(folder):
        lost = one.rejected
        preferred = 0.0 if lost is None else -torch.sigmoid(DPO.beta * (ratio(one) - ratio(lost))).log()
        losses.append(one.weight * (preferred - DPO.alpha * log_prob(one) / one.target_tokens))
    return torch.stack(losses).mean().item()


@pytest.mark.parametrize("kind", ["tiny_llama", "tiny_qwen"])
def test_the_weighted_loss_is_the_formula(kind: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(kind)
    made = examples(folder)
    assert sorted({one.weight for one in made}) == [0.25, 0.5, 0.75, 1.0]  # 1 where nothing lost
    assert gradients(folder, SETTINGS)[0][0] == pytest.approx(by_the_formula(folder), rel=1e-5)


@pytest.mark.parametrize("changed", [{"micro_batch_tokens": 1}, {"micro_batch_tokens": 250}, {"batching": Packed(1)}])
def test_neither_micro_batches_nor_the_layout_change_it(tiny_llama: Path, changed: dict[str, Any]) -> None:
    (whole, expected), (parts, found) = (
        gradients(tiny_llama, SETTINGS),
        gradients(tiny_llama, replace(SETTINGS, **changed)),
    )
    assert parts == pytest.approx(whole, rel=1e-4)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-5)


def test_the_prompt_carries_no_loss(tiny_llama: Path) -> None:
    for one in examples(tiny_llama):
        for part in one.sequences:
            assert part.ids[: part.prompt_tokens] == one.ids[: one.prompt_tokens]
    [one] = encode_pairs(PAIRS[1:2], load_tokenizer(Weights("tiny", str(tiny_llama))), 128, contrasts=True).examples
    assert one.rejected is not None and one.rejected.target_tokens > one.target_tokens > 1


def test_the_reference_is_the_model_before_training_and_stays_it(tiny_llama: Path) -> None:
    model = SETTINGS.method.load(Weights("tiny", str(tiny_llama)))[0]  # a new adapter changes nothing yet
    module = TrainingModule(model, SETTINGS, 1, 2, print)
    made = examples(tiny_llama)
    _, *rewards = module.shares(made, module._loss.sizes(made)).tolist()
    assert rewards == pytest.approx([0.0, 0.0, 0.0, 0.0], abs=1e-5)
    assert model.training and all(value.requires_grad for name, value in model.named_parameters() if "lora_" in name)


def finetune(root: Path, model: Path, settings: TrainSettings = SETTINGS, curve: Any = None) -> Artifact:
    store, learner = Store(root), Learner(Weights("tiny", str(model)), "w")
    pairs = store.build(Key("vote", 1, {}), lambda work: Outcome(records=PAIRS))
    return Finetune(settings).run(stage_context(store, events=Steps(curve) if curve else None), learner, pairs)


class _Killed(BaseException):
    pass


def test_a_killed_run_ends_with_the_same_bytes_and_shows_its_rewards(tiny_llama: Path, tmp_path: Path) -> None:
    def kill(metrics: Any, step: int) -> None:
        if step == 4:
            raise _Killed

    whole = finetune(tmp_path / "whole", tiny_llama)
    with pytest.raises(_Killed):
        finetune(tmp_path / "killed", tiny_llama, curve=kill)
    live: list[dict[str, float]] = []
    resumed = finetune(tmp_path / "killed", tiny_llama, curve=lambda metrics, step: live.append(metrics))
    for file in ("adapter/adapter_model.safetensors", "records.jsonl", "meta.json"):
        assert (resumed.path / file).read_bytes() == (whole.path / file).read_bytes()
    assert len(live) == 6 and all({*DPO.metrics} < metrics.keys() for metrics in live)
    last = whole.read(TrainStep)[-1].metrics or {}
    assert last["rewards/margins"] == pytest.approx(last["rewards/chosen"] - last["rewards/rejected"], abs=1e-5)
    assert last["rewards/margins"] > 0.1


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_two_processes_train_as_one(strategy: Any, tiny_llama: Path, tmp_path: Path) -> None:
    one = finetune(tmp_path / "one", tiny_llama)
    two = finetune(tmp_path / "two", tiny_llama, replace(SETTINGS, devices=2, strategy=strategy))
    for mine, theirs in zip(one.read(TrainStep), two.read(TrainStep), strict=True):
        assert theirs.loss == pytest.approx(mine.loss, rel=1e-4)
        assert theirs.metrics == pytest.approx(mine.metrics, rel=1e-2, abs=1e-3)


def test_questions_on_which_all_draws_agree_are_left_out_by_default(tiny_llama: Path, tmp_path: Path) -> None:
    made = finetune(tmp_path, tiny_llama, replace(SETTINGS, objective=Dpo(0.5, 1.0), epochs=1))
    assert made.info["pairs"] == 9 and Dpo(0.5, 1.0).undisputed == "drop"


def test_without_a_losing_draw_there_is_nothing_to_prefer() -> None:
    with pytest.raises(ValueError, match=r"none of 1 pairs has a response that lost .*vote\.draws"):
        DPO.select(PAIRS[:1])


def test_full_fine_tuning_has_no_reference() -> None:
    with pytest.raises(ValueError, match="use train=lora"):
        replace(SETTINGS, method=Full())


@pytest.mark.parametrize(("name", "value"), [("beta", 0.0), ("alpha", -1.0)])
def test_bad_settings_are_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"objective.{name} is {value}"):
        replace(DPO, **{name: value})


def test_memory_is_estimated_for_both_responses(tiny_llama: Path) -> None:
    from transformers import AutoConfig

    from crescent.training.estimate import Corpus, estimate

    config = AutoConfig.from_pretrained(tiny_llama)
    least = replace(SETTINGS, micro_batch_tokens=1)
    both = estimate(config, least, Corpus.of([one.tokens for one in examples(tiny_llama)]), "cpu")
    assert both.micro_batch_tokens == max(one.tokens for one in examples(tiny_llama))
