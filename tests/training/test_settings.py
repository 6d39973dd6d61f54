"""Settings from YAML: what is refused and how it is said, and what is in a key."""

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from configured import composed

import crescent
from crescent.config.typed import build
from crescent.core.store import canonical, make_key
from crescent.engines.weights import Weights
from crescent.training.batching import Packed, Padded
from crescent.training.learning_rates import ADAPTERS, WHOLE_MODELS, UsualRate, usual_rate
from crescent.training.methods import Full, Lora, QLora
from crescent.training.settings import TrainSettings

LATER = ("batching", "kernels", "overlong")
ORGANISM = Weights("organism", str(Path(crescent.__file__).parent / "organism" / "weights" / "organism"))


@cache
def shipped(name: str) -> dict[str, Any]:
    return composed(f"train={name}")["train"]


def node(name: str = "lora", **changes: Any) -> dict[str, Any]:
    return {**shipped(name), **changes}


def settings_of(node: dict[str, Any]) -> TrainSettings:
    return build(TrainSettings, node, "train")


def test_the_shipped_settings_are_read() -> None:
    assert isinstance(settings_of(node("lora")).method, Lora)
    assert isinstance(settings_of(node("qlora")).method, QLora)
    assert isinstance(settings_of(node("full")).method, Full)


@pytest.mark.parametrize(
    ("key", "value"),
    [("learning_rate", 0), ("learning_rate", "1e-3"), ("epochs", 0), ("epochs", 1.5), ("batch_size", 0), ("seed", None),
     ("micro_batch_tokens", 0), ("max_length", 1), ("schedule", "cosin"), ("warmup_ratio", 2), ("weight_decay", -1),
     ("max_grad_norm", 0), ("seed", -1), ("precision", "16"), ("checkpoint_every", 0), ("devices", 0)],
)  # fmt: skip
def test_an_impossible_value_is_named_in_one_line(key: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"^train\.{key} is .*; it must be .+$") as error:
        settings_of(node(**{key: value}))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("key", "value"), [("rank", 0), ("alpha", 0), ("dropout", 1), ("target_modules", [])])
def test_an_impossible_adapter_is_named(key: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"^train\.method\.{key} is "):
        settings_of(node(method={**node()["method"], key: value}))


def test_unknown_and_missing_keys_are_named() -> None:
    with pytest.raises(ValueError, match=r"train\.learning_rte is not a setting"):
        settings_of(node(learning_rte=1))
    method = {name: value for name, value in node()["method"].items() if name != "rank"}
    with pytest.raises(ValueError, match=r"train\.method\.rank is missing"):
        settings_of(node(method=method))


def test_a_key_holds_what_changes_results_and_only_that() -> None:
    settings = settings_of(node())
    key = make_key("finetune", 1, settings)
    same = replace(settings, micro_batch_tokens=1, checkpoint_every=7, name="other", devices=2, strategy="fsdp")
    assert make_key("finetune", 1, same) == key
    assert make_key("finetune", 1, replace(settings, precision="bf16-mixed")) != key
    assert make_key("finetune", 1, replace(settings, seed=1)) != key
    assert make_key("finetune", 1, replace(settings, batching=Packed(1))) != key
    assert make_key("finetune", 1, replace(settings, kernels="liger")) != key


def test_the_default_has_the_key_it_had_before_there_were_choices() -> None:
    cutting = settings_of(node(overlong="cut"))  # pairs were cut then
    before = {name: value for name, value in canonical(cutting).items() if name not in LATER}
    assert canonical(cutting) == before
    later = replace(cutting, batching=Padded(pool_batches=16, name="another name"))
    assert canonical(later) == before


def test_precision_is_decided_before_the_key() -> None:
    assert settings_of(node()).resolved(ORGANISM).precision in ("32-true", "bf16-mixed")


@pytest.mark.parametrize("method", ["lora", "qlora", "full"])
def test_auto_is_the_resolved_number_in_a_key(method: str) -> None:
    resolved = settings_of(node(method)).resolved(ORGANISM)
    by_hand = settings_of(node(method, learning_rate=resolved.learning_rate)).resolved(ORGANISM)
    assert isinstance(resolved.learning_rate, float)
    assert make_key("finetune", 1, resolved) == make_key("finetune", 1, by_hand)


@pytest.mark.parametrize(
    ("table", "parameters", "rate"),
    [(ADAPTERS, 135_000_000, 2e-4), (ADAPTERS, 8_030_261_248, 2e-4), (ADAPTERS, 70_553_706_496, 1e-4),
     (WHOLE_MODELS, 135_000_000, 3e-4), (WHOLE_MODELS, 8_030_261_248, 1e-5), (WHOLE_MODELS, 70_553_706_496, 2e-6)],
)  # fmt: skip
def test_the_rate_follows_method_and_size(table: Sequence[UsualRate], parameters: int, rate: float) -> None:
    assert usual_rate(table, parameters).learning_rate == rate


def test_a_rate_far_above_the_usual_gets_one_line_that_says_so() -> None:
    said = settings_of(node(learning_rate=0.1)).about_learning_rate(ORGANISM)
    assert said is not None and "\n" not in said
    assert re.search(r"learning_rate=0\.1 is \d+ times the usual .* 2\.1 M parameters", said)
    usual = settings_of(node()).resolved(ORGANISM).learning_rate
    assert settings_of(node(learning_rate=usual)).about_learning_rate(ORGANISM) is None


def test_an_order_that_cannot_be_is_named() -> None:
    with pytest.raises(ValueError, match=r"^train\.batching\.pool_batches is 0"):
        settings_of(node(batching={**node()["batching"], "pool_batches": 0}))


def test_sharding_weights_in_four_bits_is_refused() -> None:
    with pytest.raises(ValueError, match=r"train\.strategy=fsdp: 4-bit weights cannot be sharded"):
        settings_of(node("qlora", devices=2, strategy="fsdp"))


def test_a_missing_package_is_named_with_the_extra_that_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crescent.training.methods.find_spec", lambda name: None)
    monkeypatch.setattr("crescent.training.kernels.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"crescent-lm\[qlora\].*train=lora"):
        settings_of(node("qlora")).check()
    with pytest.raises(ValueError, match=r"crescent-lm\[liger\].*train\.kernels=none"):
        settings_of(node(kernels="liger")).check()


def test_fused_kernels_are_refused_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crescent.training.kernels.find_spec", lambda name: True)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ValueError, match=r"needs a CUDA GPU.*train\.kernels=none"):
        settings_of(node(kernels="liger")).check()


def test_more_devices_than_there_are_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    with pytest.raises(ValueError, match=r"train\.devices is 4, but this machine has 1 GPU.*train\.devices=1"):
        settings_of(node(devices=4)).check()
