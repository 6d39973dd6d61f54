"""Reads a tokenizer from the Hugging Face files in a model's folder.

In: a folder. Out: the library's tokenizer, or a UserError. If `mistral_common` is installed, the library prefers its
tokenizer (`tekken.json`), which has no Jinja template and cannot render text that is tokenised later.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from crescent.core.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "tokenizer_config.json", "vocab.json")
_TEKKEN = "tekken.json"
_OF_MISTRAL = "MistralCommon"  # MistralCommonBackend; MistralCommonTokenizer in earlier releases


def check_files(name: str, folder: Path) -> None:
    """Raises UserError if a folder contains no usable tokenizer."""
    if any((folder / file).exists() for file in TOKENIZER_FILES):
        return
    if (folder / _TEKKEN).exists():
        raise UserError(
            f"model {name!r} has its tokenizer only in mistral_common's format ({folder / _TEKKEN}), without a Jinja "
            "chat template. Put the tokenizer.json, tokenizer_config.json and chat_template.jinja of a Hugging Face "
            "conversion of the model into a copy of the folder."
        )
    raise UserError(f"model.path: {folder} contains no tokenizer. Save one there with tokenizer.save_pretrained().")


def read_tokenizer(name: str, folder: Path) -> "PreTrainedTokenizerBase":
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    check_files(name, folder)
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    if type(tokenizer).__name__.startswith(_OF_MISTRAL):
        if not (folder / "tokenizer.json").exists():
            raise UserError(
                f"model {name!r} has a {_TEKKEN} but no tokenizer.json ({folder}). Put the tokenizer.json of a "
                "Hugging Face conversion of the model into a copy of the folder, or uninstall mistral-common"
            )
        return PreTrainedTokenizerFast.from_pretrained(folder)
    return tokenizer
