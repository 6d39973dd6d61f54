"""Sequences packed end to end: each scores as it does alone, whatever lies beside it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch.nn.functional import cross_entropy

from crescent.core.console import Console
from crescent.engines.weights import Weights
from crescent.training import packing
from crescent.training.batching import Packed, Padded
from crescent.training.data import Example
from crescent.training.head import nats
from crescent.training.layouts import PackedLayout, PaddedLayout
from crescent.training.loop import train
from crescent.training.methods import Full, Lora
from crescent.training.packing import NAME, Segments, check_separate, packed_attention, varlen_attention
from crescent.training.settings import TrainSettings

SHAPE: dict[str, Any] = {
    "vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 128, "pad_token_id": 0, "bos_token_id": 1,
    "eos_token_id": 2, "initializer_range": 0.3,
}  # fmt: skip
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "Llama": {}, "Qwen2": {}, "Qwen3": {}, "Mistral": {"sliding_window": 6}, "Gemma": {},
    "Gemma2": {"sliding_window": 6, "attn_implementation": "eager"}, "Phi3": {},
}  # fmt: skip
SETTINGS = TrainSettings(
    name="lora", method=Lora(rank=4, alpha=8, dropout=0.0, target_modules="all-linear"), learning_rate=0.01, epochs=2,
    batch_size=5, max_length=64, schedule="constant", warmup_ratio=0.0, weight_decay=0.0, max_grad_norm=1.0, seed=0,
    precision="32-true", micro_batch_tokens=60, checkpoint_every=50,
)  # fmt: skip


def random_model(name: str) -> Any:
    """A random model; weights are large, so that what a token sees decides its logits."""
    torch.manual_seed(0)
    config = getattr(transformers, f"{name}Config")(**SHAPE, **ARCHITECTURES.get(name, {}))
    model = getattr(transformers, f"{name}ForCausalLM")(config)
    return model.train()


def sequences(count: int, seed: int = 0) -> list[Example]:
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(4, 20, (count,), generator=generator).tolist()
    rows = [torch.randint(3, 64, (length,), generator=generator).tolist() for length in lengths]
    return [Example(str(row), tuple(ids), 1 + row % 3) for row, ids in enumerate(rows)]


def alone(model: Any, examples: Sequence[Example]) -> torch.Tensor:
    """The loss of sequences that are never in one batch, through the model's own attention."""
    total = torch.zeros(())
    for example in examples:
        logits = model(input_ids=torch.tensor([example.ids]), use_cache=False).logits[0, example.prompt_tokens - 1 : -1]
        total = total + cross_entropy(logits, torch.tensor(example.ids[example.prompt_tokens :]), reduction="sum")
    return total


def gradients(model: Any, loss: torch.Tensor) -> dict[str, torch.Tensor]:
    model.zero_grad()
    loss.backward()
    return {name: value.grad.clone() for name, value in model.named_parameters() if value.grad is not None}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_packed_sequences_have_the_loss_and_gradients_they_have_alone(name: str) -> None:
    model, examples = random_model(name), sequences(7)
    expected = alone(model, examples)
    wanted = gradients(model, expected)
    with packed_attention(model):
        loss = PackedLayout().values(model, examples, 0, "cpu", nats).sum()
        found = gradients(model, loss)
    torch.testing.assert_close(loss, expected)
    for key, value in wanted.items():
        torch.testing.assert_close(found[key], value, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_neighbour_in_the_row_changes_no_logit(name: str) -> None:
    model, (first, second, third) = random_model(name).eval(), sequences(3)

    def last_logits(neighbour: Example) -> torch.Tensor:
        ids = torch.tensor([neighbour.ids + third.ids])
        segments = Segments.of([len(neighbour.ids), len(third.ids)], "cpu")
        with torch.no_grad():
            found = model(input_ids=ids, position_ids=segments.positions, use_cache=False, segments=segments)
        return found.logits[0, -len(third.ids) :]

    with packed_attention(model):
        torch.testing.assert_close(last_logits(first), last_logits(second))


def test_a_row_without_segments_would_be_noticed() -> None:
    model, examples = random_model("Llama"), sequences(2)
    joined = Example("both", examples[0].ids + examples[1].ids, 1)
    with packed_attention(model):
        crossed = PackedLayout().values(model, [joined], 0, "cpu", nats).sum()
        apart = PackedLayout().values(model, examples, 0, "cpu", nats).sum()
    assert abs(float(crossed.detach() - apart.detach())) > 0.1


def test_attention_is_the_models_own_again_afterwards() -> None:
    model = random_model("Llama")
    with packed_attention(model):
        assert model.config._attn_implementation == NAME
    assert model.config._attn_implementation == "sdpa"


def test_a_model_whose_layers_carry_state_along_the_row_is_refused() -> None:
    torch.manual_seed(0)
    config = transformers.LlamaConfig(**SHAPE)
    model = transformers.LlamaForCausalLM(config)
    model.model.layers[0].register_forward_hook(lambda layer, given, found: found.cumsum(1))  # as a recurrence does
    with packed_attention(model), pytest.raises(ValueError, match=r"attend to each other.*batching=grouped"):
        check_separate(model, [example.ids for example in sequences(2)])


def test_rows_hold_every_sequence_once_and_no_more_than_their_tokens() -> None:
    examples = sequences(40)
    rows = PackedLayout().groups(examples, 64)
    assert sorted(example.question_id for row in rows for example in row) == sorted(e.question_id for e in examples)
    filled = [sum(len(example.ids) for example in row) for row in rows]
    assert max(filled) <= 64 and sum(filled) > 0.9 * 64 * (len(rows) - 1)


def test_a_sequence_longer_than_a_row_has_one_for_itself() -> None:
    long = Example("long", tuple(range(3, 60)), 1)
    rows = PackedLayout().groups([*sequences(3), long], 40)
    assert [row for row in rows if long in row] == [[long]]


def test_padding_counts_against_the_limit() -> None:
    short, long = Example("s", (3,) * 4, 1), Example("l", (3,) * 10, 1)
    assert [len(group) for group in PaddedLayout().groups([short, short, short, long], 30)] == [3, 1]
    assert [len(group) for group in PaddedLayout().groups([short, short, short, long], 40)] == [4]


@pytest.mark.parametrize("method", [SETTINGS.method, Full()])
def test_a_packed_run_has_the_losses_of_a_padded_one(method: Any, tiny_llama: Path, tmp_path: Path) -> None:
    curves = {}
    for batching in (Padded(1), Packed(1)):
        torch.manual_seed(0)
        model: Any = method.load(Weights("tiny", str(tiny_llama)))[0]
        folder = tmp_path / type(batching).__name__
        folder.mkdir()
        settings = replace(SETTINGS, batching=batching, method=method, learning_rate=0.001)
        steps = train(model, sequences(12), 2, settings, folder, Console(quiet=True))
        curves[type(batching)] = [(step.step, step.target_tokens, step.loss) for step in steps]
    for (number, tokens, loss), other in zip(curves[Padded], curves[Packed], strict=True):
        assert (number, tokens) == other[:2] and loss == pytest.approx(other[2], rel=1e-4)


def old_varlen(
    query: Any, key: Any, value: Any, bounds: Any, others: Any, longest: int, other: int, is_causal: bool
) -> None:
    """As torch 2.10 has it."""


def new_varlen(*rows: Any, scale: float | None = None, window_size: tuple[int, int] = (-1, -1)) -> None: ...


@pytest.mark.parametrize(("function", "used"), [(old_varlen, False), (new_varlen, True)])
def test_flash_attention_is_used_where_it_takes_a_scale_and_a_window(
    function: Any, used: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch.nn.attention.varlen")
    monkeypatch.setattr("torch.nn.attention.varlen.varlen_attn", function)
    assert varlen_attention.__wrapped__() is (function if used else None)


def test_under_autocast_queries_and_keys_are_in_half_precision_as_values_are(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[torch.dtype, ...]] = []

    def one(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *others: Any) -> torch.Tensor:
        asked.append((query.dtype, key.dtype, value.dtype))
        return query

    monkeypatch.setattr(packing, "_attend_one", one)
    model, examples = random_model("Llama"), sequences(2)
    with packed_attention(model), torch.autocast("cpu", torch.bfloat16):
        PackedLayout().values(model, examples, 0, "cpu", nats).sum()
    assert set(asked) == {(torch.bfloat16,) * 3}
