"""The optimiser step: its loss, its gradients, its optimiser, and what it does when memory runs out."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy

from crescent.core.console import Console
from crescent.engines.weights import Weights
from crescent.training.batch_schedule import Step
from crescent.training.data import Example
from crescent.training.loop import train
from crescent.training.methods import Full, Lora
from crescent.training.module import Batch, TrainingModule
from crescent.training.settings import TrainSettings
from crescent.training.step_loss import Sizes

SETTINGS = TrainSettings(
    name="lora", method=Lora(rank=4, alpha=8, dropout=0.0, target_modules="all-linear"), learning_rate=0.01, epochs=1,
    batch_size=6, max_length=64, schedule="constant", warmup_ratio=0.0, weight_decay=0.1, max_grad_norm=1.0, seed=0,
    precision="32-true", micro_batch_tokens=6 * 64, checkpoint_every=50,
)  # fmt: skip
EXAMPLES = [
    Example(str(row), tuple(3 + (7 * row + 5 * place) % 300 for place in range(8 + 3 * row)), 2 + row)
    for row in range(6)
]
PAD = 2


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Models this small are fastest on one core, and threads that wait for a busy one are very slow."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def load(folder: Path, settings: TrainSettings = SETTINGS, dtype: str = "float32") -> Any:
    torch.manual_seed(0)
    return settings.method.load(Weights("tiny", str(folder), dtype))[0]


def trained(folder: Path, scratch: Path, settings: TrainSettings) -> dict[str, torch.Tensor]:
    model = load(folder, settings)
    scratch.mkdir()
    train(model, EXAMPLES, PAD, settings, scratch, Console(quiet=True))
    return {name: value.detach() for name, value in model.named_parameters() if value.requires_grad}


def gradients(folder: Path, micro_batch_tokens: int) -> dict[str, torch.Tensor]:
    module = TrainingModule(load(folder), replace(SETTINGS, micro_batch_tokens=micro_batch_tokens), 1, PAD, print)
    module.manual_backward = lambda loss: loss.backward()  # type: ignore[method-assign,assignment]  # no Trainer here
    module._gradients(Batch(Step(1, 1, tuple(range(6))), EXAMPLES))
    return {name: value.grad for name, value in module.trained_parameters().items() if value.grad is not None}


@pytest.mark.parametrize("kind", ["tiny_llama", "tiny_qwen"])
def test_the_loss_is_the_sum_over_target_tokens(kind: str, request: pytest.FixtureRequest) -> None:
    model = load(request.getfixturevalue(kind))
    expected = torch.zeros(())
    for example in EXAMPLES:  # one by one, without padding or trimming
        ids = torch.tensor([example.ids])
        logits = model(input_ids=ids).logits[0, example.prompt_tokens - 1 : -1]
        expected += cross_entropy(logits, ids[0, example.prompt_tokens :], reduction="sum")
    [found] = TrainingModule(model, SETTINGS, 1, PAD, print).shares(EXAMPLES, Sizes(1, 1, 1))
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("tokens", [1, 40, 80])
def test_gradients_do_not_depend_on_the_micro_batch(tiny_llama: Path, tokens: int) -> None:
    whole, parts = gradients(tiny_llama, 6 * 64), gradients(tiny_llama, tokens)
    assert whole and any(value.abs().max() > 1e-4 for value in whole.values())
    for name, value in whole.items():
        torch.testing.assert_close(parts[name], value, rtol=1e-4, atol=1e-6)


def test_only_the_adapter_is_trained_and_every_layer_of_it_in_train_mode(tiny_llama: Path) -> None:
    module = TrainingModule(load(tiny_llama), SETTINGS, 1, PAD, print)
    assert all("lora_" in name for name in module.trained_parameters())
    assert all(part.training for part in module.modules())


def test_norms_and_biases_are_not_decayed(tiny_qwen: Path) -> None:
    full = replace(SETTINGS, method=Full())
    module = TrainingModule(load(tiny_qwen, full), full, 1, PAD, print)
    matrices, others = module.configure_optimizers().param_groups
    assert matrices["weight_decay"] == 0.1 and all(value.ndim >= 2 for value in matrices["params"])
    assert others["weight_decay"] == 0.0 and all(value.ndim == 1 for value in others["params"])


def test_running_out_of_memory_halves_the_micro_batch_and_goes_on(
    tiny_llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    full, model = TrainingModule.shares, load(tiny_llama)

    def short_of_memory(module: TrainingModule, examples: list[Example], sizes: Sizes) -> torch.Tensor:
        if len(examples) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return full(module, examples, sizes)

    expected = trained(tiny_llama, tmp_path / "enough", SETTINGS)
    monkeypatch.setattr(TrainingModule, "shares", short_of_memory)
    train(model, EXAMPLES, PAD, SETTINGS, tmp_path, Console())
    assert capsys.readouterr().err.count("train.micro_batch_tokens=34;") == 1
    found = dict(model.named_parameters())
    for name, value in expected.items():
        torch.testing.assert_close(found[name].detach(), value, rtol=1e-3, atol=1e-4)


def test_one_sequence_too_many_for_memory_says_what_to_lower(
    tiny_llama: Path, tmp_path: Path, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_memory(module: TrainingModule, examples: list[Example], sizes: Sizes) -> torch.Tensor:
        raise MemoryError

    monkeypatch.setattr(TrainingModule, "shares", no_memory)
    with pytest.raises(MemoryError, match=r"Lower train\.max_length"):
        train(load(tiny_llama), EXAMPLES, PAD, SETTINGS, tmp_path, console)


def test_any_other_error_is_not_swallowed(
    tiny_llama: Path, tmp_path: Path, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(module: TrainingModule, examples: list[Example], sizes: Sizes) -> torch.Tensor:
        raise RuntimeError("shapes do not fit")

    monkeypatch.setattr(TrainingModule, "shares", broken)
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        train(load(tiny_llama), EXAMPLES, PAD, SETTINGS, tmp_path, console)


def test_divergence_stops_with_a_hint(
    tiny_llama: Path, tmp_path: Path, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = TrainingModule.shares
    monkeypatch.setattr(TrainingModule, "shares", lambda module, rows, sizes: full(module, rows, sizes) * float("inf"))
    with pytest.raises(ValueError, match=r"diverged at step 1 .*Lower train\.learning_rate"):
        train(load(tiny_llama), EXAMPLES, PAD, SETTINGS, tmp_path, console)


def test_the_loss_falls(tiny_llama: Path, tmp_path: Path, console: Console) -> None:
    steps = train(load(tiny_llama), EXAMPLES, PAD, replace(SETTINGS, epochs=12), tmp_path, console)
    assert steps[-1].loss < 0.97 * steps[0].loss


def test_the_generators_of_random_numbers_are_left_as_they_were(
    tiny_llama: Path, tmp_path: Path, console: Console
) -> None:
    model = load(tiny_llama)
    before = torch.random.get_rng_state()
    train(model, EXAMPLES, PAD, SETTINGS, tmp_path, console)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_mixed_precision_trains_an_adapter_in_float32_on_a_model_in_bfloat16(
    tiny_llama: Path, tmp_path: Path, console: Console
) -> None:
    settings, model = replace(SETTINGS, precision="bf16-mixed", epochs=12), load(tiny_llama, dtype="bfloat16")
    steps = train(model, EXAMPLES, PAD, settings, tmp_path, console)
    assert steps[-1].loss < 0.97 * steps[0].loss
    assert {value.dtype for value in model.parameters() if value.requires_grad} == {torch.float32}
