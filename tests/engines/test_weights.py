"""Loading: real chat templates, one BOS, identity, adapters, and models that cannot be used."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from conftest import save_tiny_model

from crescent.engines import Prompt, Sampling
from crescent.engines.identity import identity
from crescent.engines.model_files import number_count, weight_files
from crescent.engines.transformers import TransformersSettings
from crescent.engines.transformers.engine import TransformersEngine
from crescent.engines.turns import end_tokens
from crescent.engines.weights import Weights, check, load

# The public chat formats of the models in conf/model, with this test's own marker tokens as plain text.
LLAMA2 = "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %}[INST] {{ m['content'] }} [/INST]{% else %} {{ m['content'] }} {{ eos_token }}{% endif %}{% endfor %}"  # noqa: E501
LLAMA3 = "{{ bos_token }}{% for m in messages %}<|start_header_id|>{{ m['role'] }}<|end_header_id|>\n\n{{ m['content'] | trim }}<|eot_id|>{% endfor %}{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"  # noqa: E501
CHATML = "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"  # noqa: E501


@pytest.mark.parametrize(
    ("architecture", "template", "rendered"),
    [
        ("llama", LLAMA2, "<s>[INST] How many? [/INST]"),
        ("llama", LLAMA3, "<s><|start_header_id|>user<|end_header_id|>\n\nHow many?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"),  # noqa: E501
        ("qwen2", CHATML, "<|im_start|>user\nHow many?<|im_end|>\n<|im_start|>assistant\n"),
    ],
)  # fmt: skip
def test_a_question_is_asked_in_the_model_s_own_template(
    architecture: str, template: str, rendered: str, tmp_path: Path
) -> None:
    folder = save_tiny_model(tmp_path / "model", architecture, template)
    engine = TransformersSettings(device="cpu").build(Weights("m", str(folder)), "w")
    ids = list(engine.encode(Prompt("How many?")))
    assert engine.tokenizer.decode(ids) == rendered
    assert sum(token == engine.tokenizer.bos_token_id for token in ids) == rendered.count("<s>")
    assert engine.generate(["How many?"], Sampling(max_new_tokens=4))[0].new_tokens <= 4


def test_text_that_was_templated_twice_is_caught(tiny_llama: Path) -> None:
    engine = TransformersSettings(device="cpu").build(Weights("m", str(tiny_llama)), "w")
    with pytest.raises(AssertionError, match="templated twice"):
        engine.encode(Prompt("<s><s>How many?", rendered=True))


def test_a_second_end_token_of_the_generation_config_ends_a_turn(tiny_llama: Path) -> None:
    model, tokenizer = load(Weights("m", str(tiny_llama)), "cpu")
    model.generation_config.eos_token_id = [1, 300]  # Llama 3 has two
    ended = TransformersEngine(model, tokenizer, "w").generate(
        [Prompt("x", draw) for draw in range(60)], Sampling(max_new_tokens=100)
    )
    assert any(completion.finish_reason == "stop" for completion in ended)
    assert end_tokens(model.generation_config, tokenizer) >= {1, 300}


def test_identity_is_of_content_not_of_place(tiny_llama: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(tiny_llama, tmp_path / "copy")
    here, there = (identity(Weights(str(f), str(f)), tmp_path / "cache.json") for f in (tiny_llama, copy))
    assert here == there
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"rope_theta": 5}))
    assert identity(Weights("m", str(copy)), tmp_path / "cache.json") != here


def test_weights_that_are_there_a_second_time_in_another_form_are_left_out(tiny_llama: Path, tmp_path: Path) -> None:
    twice = shutil.copytree(tiny_llama, tmp_path / "twice")
    for name in ("consolidated.safetensors", "pytorch_model.bin"):
        shutil.copy(twice / "model.safetensors", twice / name)
    assert [file.name for file in weight_files(twice)] == ["model.safetensors"]
    assert number_count(twice) == number_count(tiny_llama)
    assert identity(Weights("m", str(twice))) == identity(Weights("m", str(tiny_llama)))


def test_shards_are_those_that_the_index_names(tiny_llama: Path, tmp_path: Path) -> None:
    model, _ = load(Weights("m", str(tiny_llama)), "cpu")
    model.save_pretrained(tmp_path, max_shard_size="60KB")
    shutil.copy(tiny_llama / "model.safetensors", tmp_path / "consolidated.safetensors")
    named = [file.name for file in weight_files(tmp_path)]
    assert len(named) > 1 and all(name.startswith("model-0000") for name in named)
    assert number_count(tmp_path) == number_count(tiny_llama)


def test_a_shard_that_is_not_there_is_named(tiny_llama: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_llama, tmp_path / "model")
    (folder / "model.safetensors").unlink()
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ValueError, match=r"lacks model-00001-of-00002\.safetensors"):
        check(Weights("m", str(folder)))


def test_a_model_that_does_not_fit_is_one_line_with_a_hint(tiny_llama: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    monkeypatch.setattr("transformers.PreTrainedModel.to", full)
    with pytest.raises(MemoryError, match=r"out of memory while loading m in float32 on cpu\. Use a smaller"):
        load(Weights("m", str(tiny_llama)), "cpu")


def test_dtype_and_adapter_are_part_of_identity(tiny_llama: Path) -> None:
    plain = Weights("m", str(tiny_llama))
    others = [Weights("m", str(tiny_llama), "bfloat16"), plain.with_adapter(Path("x"), "k")]
    assert len({identity(weights) for weights in [plain, *others]}) == 3


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("config.json", "no config.json"),
        ("tokenizer.json", "no tokenizer"),
        ("chat_template.jinja", "no chat template"),
    ],
)
def test_what_a_model_folder_lacks_is_named(missing: str, message: str, tiny_llama: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_llama, tmp_path / "model")
    (folder / missing).unlink()
    if missing == "tokenizer.json":
        (folder / "tokenizer_config.json").unlink()
    with pytest.raises(ValueError, match=message):
        check(Weights("m", str(folder)))


def test_a_hub_id_that_cannot_be_fetched_is_one_line_with_a_hint() -> None:
    with pytest.raises(ValueError, match="could not be downloaded") as error:
        identity(Weights("m", "nobody/nothing"))
    assert "\n" not in str(error.value)
