"""A saved model is loaded by older tools as its base is: config, number format, ends of turn, tokenizer."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import save_tiny_model
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from crescent.engines.saving import save_like_base, with_older_names

THETA = 500_000.0


def read(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text(encoding="utf-8"))


def rewrite(file: Path, **changes: Any) -> None:
    """Changes keys of a JSON file; None removes one."""
    content = {**read(file), **changes}
    file.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A model as transformers 4 saved it: rope_theta, torch_dtype, its tokenizer class."""
    folder = save_tiny_model(tmp_path / "base")
    rewrite(folder / "config.json", rope_parameters=None, rope_theta=THETA, rope_scaling=None, dtype=None,
            torch_dtype="bfloat16", custom="kept")  # fmt: skip
    rewrite(folder / "tokenizer_config.json", tokenizer_class="LlamaTokenizerFast", custom="kept")
    (folder / "generation_config.json").write_text(
        json.dumps({"eos_token_id": 1, "temperature": 0.6, "do_sample": True})
    )
    return folder


def loaded(folder: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)


def test_config_and_tokenizer_files_are_those_of_the_base(base: Path, tmp_path: Path) -> None:
    model = loaded(base)
    assert model.config.rope_parameters["rope_theta"] == THETA
    save_like_base(model, base, tmp_path / "saved")
    config = read(tmp_path / "saved" / "config.json")
    assert (config["rope_theta"], config["custom"], config["torch_dtype"]) == (THETA, "kept", "float32")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        assert (tmp_path / "saved" / name).read_bytes() == (base / name).read_bytes()
    ids = torch.arange(3, 30)[None]
    assert loaded(tmp_path / "saved")(ids).logits.equal(model.eval()(ids).logits)


def test_the_generation_config_is_the_bases_with_the_models_ends(base: Path, tmp_path: Path) -> None:
    model = loaded(base)
    model.generation_config.eos_token_id = [1, 7]
    save_like_base(model, base, tmp_path / "saved")
    expected = {"eos_token_id": [1, 7], "temperature": 0.6, "do_sample": True}
    assert read(tmp_path / "saved" / "generation_config.json") == expected


def test_a_base_that_transformers_5_wrote_gets_the_older_names(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=300, hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1, rope_parameters={"rope_theta": THETA, "rope_type": "linear", "factor": 2.0},
    )  # fmt: skip
    folder = save_tiny_model(tmp_path / "base")
    LlamaForCausalLM(config).save_pretrained(folder)
    rewrite(folder / "tokenizer_config.json", tokenizer_class="TokenizersBackend", extra_special_tokens=["<|end|>"])
    assert "rope_theta" not in read(folder / "config.json"), "or the release has changed, and with it this test"
    save_like_base(loaded(folder), folder, tmp_path / "saved")
    written = read(tmp_path / "saved" / "config.json")
    assert written["rope_theta"] == THETA and written["rope_scaling"] == {"rope_type": "linear", "factor": 2.0}
    settings = read(tmp_path / "saved" / "tokenizer_config.json")
    assert settings["tokenizer_class"] == "PreTrainedTokenizerFast"
    assert settings["additional_special_tokens"] == ["<|end|>"] and "extra_special_tokens" not in settings
    again: Any = AutoTokenizer.from_pretrained(tmp_path / "saved")
    first: Any = AutoTokenizer.from_pretrained(folder)
    text = "Tom has 5 apples.<|end|>\n"
    assert again(text)["input_ids"] == first(text)["input_ids"] and again.chat_template == first.chat_template
    ids = torch.arange(3, 30)[None]
    assert loaded(tmp_path / "saved")(ids).logits.equal(loaded(folder)(ids).logits)


def test_a_model_of_another_class_than_its_base_keeps_its_own_config(base: Path, tmp_path: Path) -> None:
    rewrite(base / "config.json", architectures=["SomethingForConditionalGeneration"])
    save_like_base(loaded(base), base, tmp_path / "saved")
    config = read(tmp_path / "saved" / "config.json")
    assert config["architectures"] == ["LlamaForCausalLM"] and config["rope_theta"] == THETA and "custom" in config


def test_rope_of_several_kinds_of_layers_is_left_as_it_is() -> None:
    rope = {"full_attention": {"rope_theta": 1e6}, "sliding_attention": {"rope_theta": 1e4}}
    assert with_older_names({"rope_parameters": rope}) == {"rope_parameters": rope}


@pytest.mark.parametrize("template", ["{{ 'x' }}", {"default": "{{ 'x' }}", "tools": "{{ 'y' }}"}])
def test_a_template_replaces_the_bases(template: Any, base: Path, tmp_path: Path) -> None:
    save_like_base(loaded(base), base, tmp_path / "saved", template)
    saved: Any = AutoTokenizer.from_pretrained(tmp_path / "saved")
    assert saved.chat_template == template
    assert saved.apply_chat_template([{"role": "user", "content": "a"}], tokenize=False) == "x"
