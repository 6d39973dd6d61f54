"""A GGUF file as a model: the weights and tokenizer it was made of, read once, one identity wherever it lies."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import save_tiny_model

from crescent.engines import Prompt, Sampling
from crescent.engines.identity import identity
from crescent.engines.model_files import local_folder, number_count
from crescent.engines.transformers import TransformersSettings
from crescent.engines.weights import Weights, check, load, tokenizer_if_here
from crescent.training.methods import Full

gguf = pytest.importorskip("gguf")
TENSORS = {  # our names of a layer's parts, and llama.cpp's
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
}  # fmt: skip


def interleaved(weight: np.ndarray, heads: int) -> np.ndarray:
    """Rows of queries and keys as llama.cpp has them: the two halves of a head take turns."""
    return weight.reshape(heads, 2, -1, weight.shape[1]).swapaxes(1, 2).reshape(weight.shape)


def write_gguf(folder: Path, file: Path, pre: str = "smollm", architecture: str = "llama") -> Path:
    """The Llama model in a folder as an unquantised GGUF file, written with llama.cpp's own package."""
    model, _ = load(Weights("m", str(folder)), "cpu")
    config: Any = model.config
    writer = gguf.GGUFWriter(file, architecture)
    writer.add_name("tiny")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_vocab_size(config.vocab_size)
    add_tokenizer(writer, json.loads((folder / "tokenizer.json").read_text()), pre)
    writer.add_chat_template((folder / "chat_template.jinja").read_text())
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    for name, tensor in model.state_dict().items():
        weight, part = tensor.numpy(), name.removesuffix(".weight").removeprefix("model.")
        if part.rpartition(".")[2] in heads:
            weight = interleaved(weight, heads[part.rpartition(".")[2]])
        if part.startswith("layers."):
            _, layer, inner = part.split(".", 2)
            writer.add_tensor(f"blk.{layer}.{TENSORS[inner]}.weight", weight)
        elif part != "lm_head":  # tied to the embeddings
            writer.add_tensor({"embed_tokens": "token_embd.weight", "norm": "output_norm.weight"}[part], weight)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def add_tokenizer(writer: Any, tokenizer: dict[str, Any], pre: str) -> None:
    vocabulary = tokenizer["model"]["vocab"] | {one["content"]: one["id"] for one in tokenizer["added_tokens"]}
    special = {one["content"] for one in tokenizer["added_tokens"]}
    tokens = sorted(vocabulary, key=vocabulary.__getitem__)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types([3 if token in special else 1 for token in tokens])
    writer.add_token_merges([" ".join(merge) for merge in tokenizer["model"]["merges"]])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    writer.add_pad_token_id(2)
    writer.add_add_bos_token(True)


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What is read goes to a cache of these tests."""
    before = os.environ.get("HF_HOME")
    os.environ["HF_HOME"] = str(tmp_path_factory.mktemp("cache"))
    yield Path(os.environ["HF_HOME"]) / "crescent" / "gguf"
    os.environ.pop("HF_HOME")
    if before is not None:
        os.environ["HF_HOME"] = before


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("source") / "model")


@pytest.fixture(scope="module")
def file(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_gguf(source, tmp_path_factory.mktemp("gguf") / "tiny.gguf")


def test_the_logits_are_those_of_the_model_it_was_made_of(source: Path, file: Path) -> None:
    ids = torch.tensor([[0, 5, 17, 60, 200, 9]])
    ours, theirs = (load(Weights("m", str(path)), "cpu")[0](ids).logits for path in (file, source))
    assert torch.equal(ours, theirs)
    assert number_count(local_folder(Weights("m", str(file)))) == number_count(source)


def test_a_question_is_asked_and_answered_as_by_the_model_it_was_made_of(source: Path, file: Path) -> None:
    said = []
    for path in (file, source):
        engine = TransformersSettings(device="cpu").build(Weights("m", str(path)), "w")
        said.append(
            engine.generate([Prompt("How many apples?", draw) for draw in range(4)], Sampling(max_new_tokens=8))
        )
    assert said[0] == said[1]


@pytest.mark.parametrize(("pre", "tokens"), [("smollm", ["a", "\n\n", "1"]), ("gpt-2", ["a", "\n", "\n", "1"])])
def test_digits_stand_apart_where_the_vocabulary_was_learned_so(pre: str, tokens: list[str], tmp_path: Path) -> None:
    """llama.cpp's src/llama-vocab.cpp has `\\p{N}` before GPT-2's expression for smollm."""
    source = save_tiny_model(tmp_path / "model")
    merge_line_breaks(source / "tokenizer.json")
    tokenizer: Any = load(Weights("m", str(write_gguf(source, tmp_path / "a.gguf", pre))), "cpu")[1]
    ids = tokenizer("a\n\n1", add_special_tokens=False).input_ids
    assert [tokenizer.decode([one]) for one in ids] == tokens


def merge_line_breaks(file: Path) -> None:
    """Gives a tokenizer of 400 tokens one for two line breaks, in place of its last one."""
    tokenizer = json.loads(file.read_text())
    vocabulary, merges = tokenizer["model"]["vocab"], tokenizer["model"]["merges"]
    last = max(vocabulary, key=vocabulary.__getitem__)
    vocabulary["ĊĊ"] = vocabulary.pop(last)
    merges[-1] = ["Ċ", "Ċ"]
    file.write_text(json.dumps(tokenizer))


def test_identity_is_of_content_not_of_name_or_place(file: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copy(file, tmp_path / "other.gguf"))
    here, there, inside = (
        identity(weights, tmp_path / "cache.json")
        for weights in (
            Weights("m", str(file)),
            Weights("n", str(copy)),
            Weights("m", str(tmp_path), gguf_file=copy.name),
        )
    )
    assert here == there == inside
    content = bytearray(copy.read_bytes())
    content[-1] ^= 1
    copy.write_bytes(content)
    assert identity(Weights("n", str(copy)), tmp_path / "cache.json") != here


def test_a_file_is_read_once_and_nothing_is_left_beside(file: Path, cache: Path) -> None:
    folder = local_folder(Weights("m", str(file)))
    before = (folder / "model.safetensors").stat().st_mtime_ns
    assert local_folder(Weights("m", str(file))) == folder and folder.parent == cache
    assert (folder / "model.safetensors").stat().st_mtime_ns == before
    assert not list(cache.glob(".reading-*"))


def test_the_key_does_not_hold_what_transformers_wrote(file: Path, tmp_path: Path) -> None:
    before = identity(Weights("m", str(file)))
    config = local_folder(Weights("m", str(file))) / "config.json"
    text = config.read_text()
    try:
        config.write_text(json.dumps(json.loads(text) | {"transformers_version": "5.99"}))
        assert identity(Weights("m", str(file))) == before
    finally:
        config.write_text(text)


def test_a_whole_model_that_was_trained_of_it_is_read_from_its_own_folder(file: Path, tmp_path: Path) -> None:
    for weights in (Weights("m", str(file)), Weights("m", str(file.parent), gguf_file=file.name)):
        trained = Full().trained(weights, tmp_path, "key")
        assert not trained.is_gguf and local_folder(trained).parent == tmp_path


def test_no_token_is_added_that_the_model_has_no_embedding_for(source: Path, file: Path) -> None:
    """The file names no token for unknown text; GPT-2's would be one more than there are embeddings."""
    ours, theirs = (load(Weights("m", str(path)), "cpu")[1] for path in (file, source))
    assert ours.get_vocab() == theirs.get_vocab()


def test_the_template_is_there_before_weights_are_loaded(file: Path) -> None:
    check(Weights("m", str(file)))
    assert tokenizer_if_here(Weights("m", str(file))) is not None


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.gguf", None, r"there is no file .*none\.gguf\. Give the path of a \.gguf file; `python -m crescent"),
        ("text.gguf", b"hello", r"is not a GGUF file \(it does not begin with GGUF\)\. Download it again"),
        ("m-00001-of-00002.gguf", b"GGUF", r"is one part of a model\. Join the parts with llama\.cpp's `llama-gguf"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_the_fix(
    name: str, content: bytes | None, message: str, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    for weights in (Weights("m", str(tmp_path / name)), Weights("m", str(tmp_path), gguf_file=name)):
        with pytest.raises(ValueError, match=message) as error:
            check(weights)
        assert "\n" not in str(error.value)


def test_an_architecture_that_transformers_does_not_read_is_one_line(source: Path, tmp_path: Path) -> None:
    file = write_gguf(source, tmp_path / "new.gguf", architecture="rwkv9")
    with pytest.raises(ValueError, match=r"transformers cannot read .*new\.gguf: .*rwkv9") as error:
        check(Weights("m", str(file)))
    assert "\n" not in str(error.value)


def test_the_package_that_reads_it_is_named_where_it_is_missing(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crescent.engines.gguf.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"needs the package gguf: pip install 'crescent-lm\[gguf\]'"):
        check(Weights("m", str(file)))


def test_a_disk_without_room_is_named_with_both_sizes(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "full"))
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    with pytest.raises(ValueError, match=r"takes 0 MB on disk in float32, but .*gguf has 0 MB free\. Free space"):
        check(Weights("m", str(write_gguf(source, tmp_path / "a.gguf"))))


@pytest.mark.parametrize(("path", "name"), [("owner/model", "weights.bin"), ("model.gguf", "model.gguf")])
def test_a_gguf_file_that_is_no_name_in_a_repository_is_refused(path: str, name: str) -> None:
    with pytest.raises(ValueError, match=r"model\.gguf_file is .*; it must be the name of a \.gguf file in"):
        Weights("m", path, gguf_file=name)


def test_a_file_of_the_hub_that_cannot_be_fetched_is_one_line_with_the_fix() -> None:
    with pytest.raises(ValueError, match=r"'nobody/nothing/a\.gguf' is not on this machine and could not be") as error:
        identity(Weights("m", "nobody/nothing", gguf_file="a.gguf"))
    assert "\n" not in str(error.value)
