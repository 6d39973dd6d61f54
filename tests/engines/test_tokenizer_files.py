"""Tokenizers of mistral_common: read by their Hugging Face files, or refused in a line."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import transformers

from crescent.engines.tokenizer_files import read_tokenizer
from crescent.engines.weights import Weights, check, load_tokenizer


class MistralCommonBackend:
    """As `AutoTokenizer` answers for such a folder where mistral_common is installed: without a Jinja template."""

    chat_template = None


@pytest.fixture
def mistral(tiny_llama: Path, tmp_path: Path) -> Path:
    folder = Path(shutil.copytree(tiny_llama, tmp_path / "mistral"))
    (folder / "tekken.json").write_text(json.dumps({"config": {}, "vocab": []}))
    return folder


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def from_pretrained(folder: Path, **options: Any) -> Any:
        return MistralCommonBackend()

    monkeypatch.setattr(transformers.AutoTokenizer, "from_pretrained", from_pretrained)


def without(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).unlink()
    return folder


@pytest.mark.usefixtures("installed")
def test_the_hugging_face_files_are_read_where_the_library_prefers_mistral_common(mistral: Path) -> None:
    tokenizer: Any = load_tokenizer(Weights("m", str(mistral)))
    text = tokenizer.apply_chat_template([{"role": "user", "content": "Hi"}], tokenize=False)
    assert text == "<s><|user|>\nHi<|end|>\n"


def test_a_folder_with_mistral_common_s_file_alone_is_refused_before_anything_is_read(mistral: Path) -> None:
    weights = Weights("mine", str(without(mistral, "tokenizer.json", "tokenizer_config.json", "chat_template.jinja")))
    for refuse in (check, load_tokenizer):
        with pytest.raises(ValueError, match=r"'mine' has its tokenizer only in mistral_common's format .*Jinja"):
            refuse(weights)


@pytest.mark.usefixtures("installed")
def test_a_folder_without_tokenizer_json_is_refused_in_a_line(mistral: Path) -> None:
    folder = without(mistral, "tokenizer.json")
    with pytest.raises(ValueError, match=r"'mine' has a tekken\.json but no tokenizer\.json") as error:
        read_tokenizer("mine", folder)
    assert "\n" not in str(error.value)


def test_a_folder_without_any_tokenizer_is_named(mistral: Path) -> None:
    without(mistral, "tokenizer.json", "tokenizer_config.json", "tekken.json")
    with pytest.raises(ValueError, match=r"contains no tokenizer\. Save one there"):
        check(Weights("m", str(mistral)))
