"""Tokens without an embedding are found in the files, before any weights are read."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from real_tokenizers import REAL, needs_files
from transformers import AutoTokenizer

from crescent.engines.vocabulary import check_vocabulary
from crescent.engines.weights import Weights, check

# vocab_size in the configs of these models: 3 B of Llama 3.2, 0.5 B of Qwen, 1 B of Gemma
SIZES = {"llama2": 32000, "llama3": 128256, "llama3_1": 128256, "llama3_2": 128256, "qwen2_5": 151936,
         "qwen3": 151936, "gemma3": 262144, "deepseek_v3": 129280}  # fmt: skip


@pytest.fixture
def model(tiny_llama: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_llama, tmp_path / "model"))


def set_size(folder: Path, **config: Any) -> None:
    settings = json.loads((folder / "config.json").read_text())
    del settings["vocab_size"]
    (folder / "config.json").write_text(json.dumps({**settings, **config}))


def test_an_added_token_without_an_embedding_is_named(model: Path) -> None:
    tokenizer: Any = AutoTokenizer.from_pretrained(model)
    size = len(tokenizer)
    tokenizer.add_tokens(["<tool>"])
    tokenizer.save_pretrained(model)
    line = rf"its tokenizer has the token '<tool>' with id {size}, but the model only has {size} embeddings .*resize"
    with pytest.raises(ValueError, match=line):
        check(Weights("m", str(model)))


def test_a_vocabulary_larger_than_the_embeddings_is_found(model: Path) -> None:
    set_size(model, vocab_size=128)
    with pytest.raises(ValueError, match=r"but the model only has 128 embeddings \(ids up to 127\)"):
        check(Weights("m", str(model)))


def test_embeddings_without_tokens_are_usual(model: Path) -> None:
    set_size(model, vocab_size=448)
    check(Weights("m", str(model)))


def test_the_size_of_a_text_part_counts(model: Path) -> None:
    set_size(model, vocab_size=9000, text_config={"vocab_size": 128})
    with pytest.raises(ValueError, match="but the model only has 128 embeddings"):
        check(Weights("m", str(model)))


def test_a_size_that_is_left_to_the_library_is_asked_of_it(model: Path) -> None:
    set_size(model)  # Llama's default is 32,000
    check(Weights("m", str(model)))


@needs_files
@pytest.mark.parametrize("name", SIZES)
def test_real_models_have_an_embedding_for_every_token_of_text(name: str, tmp_path: Path) -> None:
    for file in (Path(str(REAL)) / name).iterdir():
        shutil.copy(file, tmp_path)
    for size, fits in ((SIZES[name], True), (32000 - 64, False)):
        (tmp_path / "config.json").write_text(json.dumps({"vocab_size": size}))
        if fits:
            check_vocabulary(name, tmp_path)
        else:
            with pytest.raises(ValueError, match="resize_token_embeddings"):
                check_vocabulary(name, tmp_path)
