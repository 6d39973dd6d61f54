"""Settings from YAML: what is refused and how it is said, and what is in a key."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from crescent.composition import build
from crescent.store import make_key
from crescent.training.methods import Full, Lora
from crescent.training.settings import TrainSettings

CONF = Path(__file__).parents[2] / "conf" / "train"


def node(name: str = "lora", **changes: Any) -> dict[str, Any]:
    return yaml.safe_load((CONF / f"{name}.yaml").read_text(encoding="utf-8")) | {"seed": 0} | changes


def settings_of(node: dict[str, Any]) -> TrainSettings:
    return build(TrainSettings, node, "train")


def test_the_shipped_settings_are_read() -> None:
    assert isinstance(settings_of(node("lora")).method, Lora)
    assert isinstance(settings_of(node("full")).method, Full)


@pytest.mark.parametrize(
    ("key", "value"),
    [("learning_rate", 0), ("learning_rate", "1e-3"), ("epochs", 0), ("epochs", 1.5), ("batch_size", 0), ("seed", None),
     ("micro_batch_size", 0), ("max_length", 1), ("schedule", "cosin"), ("warmup_ratio", 2), ("weight_decay", -1),
     ("max_grad_norm", 0), ("seed", -1), ("precision", "16"), ("checkpoint_every", 0)],
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
    same = replace(settings, micro_batch_size=1, checkpoint_every=7, name="other")
    assert make_key("finetune", 1, same) == key
    assert make_key("finetune", 1, replace(settings, precision="bf16-mixed")) != key
    assert make_key("finetune", 1, replace(settings, seed=1)) != key


def test_precision_is_decided_before_the_key() -> None:
    assert settings_of(node()).resolved().precision in ("32-true", "bf16-mixed")
