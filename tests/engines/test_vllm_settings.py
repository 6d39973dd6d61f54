"""What `engine=vllm` says before vLLM is loaded: tested where it is not installed."""

import importlib.util
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from crescent.core.store import make_key
from crescent.engines import Prompt, Sampling
from crescent.engines.encoding import seed_of
from crescent.engines.server import ServerSettings
from crescent.engines.stops import Texts
from crescent.engines.transformers import TransformersSettings
from crescent.engines.turns import closing_tokens
from crescent.engines.vllm import VllmSettings
from crescent.engines.vllm.engine import VllmEngine, _Request
from crescent.engines.vllm.process import check_adapter
from crescent.engines.weights import Weights, load_tokenizer


def adapted(folder: Path, **config: Any) -> Weights:
    (folder / "adapter_config.json").write_text(json.dumps({"r": 8, **config}))
    return Weights("student", "x").with_adapter(folder, "key")


def test_without_vllm_the_line_says_how_to_get_it(tiny_llama: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"engine=vllm needs vLLM .*crescent-lm\[vllm\]"):
        VllmSettings().check(Weights("tiny", str(tiny_llama)))


@pytest.mark.parametrize("config", [{"r": 1024}, {"rank_pattern": {"q_proj": 700}}])
def test_an_adapter_above_vllm_s_largest_rank_is_refused(config: dict, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"the adapter's rank is .* lower train.method.rank"):
        check_adapter(adapted(tmp_path, **config))


@pytest.mark.parametrize("feature", ["use_dora", "modules_to_save"])
def test_an_adapter_that_vllm_cannot_apply_is_refused(feature: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"cannot apply an adapter with {feature}"):
        check_adapter(adapted(tmp_path, **{feature: ["lm_head"]}))


def test_a_usual_adapter_is_not_refused(tmp_path: Path) -> None:
    check_adapter(adapted(tmp_path, use_dora=False, modules_to_save=None, rank_pattern={}))


@pytest.mark.parametrize(
    "settings", [{"gpu_memory_utilization": 1.5}, {"kv_cache_gib": 0.0}, {"max_model_len": 0}, {"max_batch": 0}]
)
def test_impossible_settings_are_named(settings: dict) -> None:
    with pytest.raises(ValueError, match=f"engine.{next(iter(settings))}"):
        VllmSettings(**settings)


def test_what_vllm_may_take_of_the_machine_is_in_no_key() -> None:
    other = VllmSettings("vllm", 0.5, 2.0, 512, 2, 8, False)
    keys = {make_key("engine", 1, settings, []) for settings in (VllmSettings(), other)}
    assert len(keys) == 1 and make_key("engine", 1, TransformersSettings(), []) not in keys


def test_engines_say_before_a_run_whether_they_can_load_its_student() -> None:
    TransformersSettings().check_student(1024)
    VllmSettings().check_student(512)
    with pytest.raises(ValueError, match=r"train.method.rank is 513; .* rank 512 at most"):
        VllmSettings().check_student(513)
    with pytest.raises(ValueError, match="engine=server cannot load"):
        ServerSettings(("http://x/v1",)).check_student(0)


def test_every_draw_has_a_seed_of_its_own_and_consecutive_ones_count_up() -> None:
    seeds = [seed_of(seed, Prompt(text, draw), 31) for seed in (0, 1) for text in ("a", "b") for draw in range(50)]
    assert len(set(seeds)) == len(seeds) and all(0 <= seed < 2**31 for seed in seeds)
    assert seed_of(0, Prompt("a", 7), 62) == seed_of(0, Prompt("a"), 62) + 7


@pytest.mark.parametrize("reason", ["stop", "length", "abort", "error"])
def test_a_completion_keeps_the_reason_for_which_vllm_ended_it(reason: str, tiny_llama: Path) -> None:
    engine = VllmEngine.__new__(VllmEngine)  # without vLLM's process
    engine.tokenizer = load_tokenizer(Weights("tiny", str(tiny_llama)))
    engine._ends = closing_tokens(engine.tokenizer)
    tokens = engine.tokenizer("7")["input_ids"][1:]
    output = SimpleNamespace(index=0, finish_reason=reason, token_ids=[*tokens, 1], cumulative_logprob=-0.5)
    request = _Request(Prompt("How many?"), [5, 6], 9, ((0,),))
    made = engine._completion(output, request, Texts(engine.tokenizer, Sampling()))
    assert (made.text, made.finish_reason, made.new_tokens) == ("7", reason, len(tokens) + 1)
