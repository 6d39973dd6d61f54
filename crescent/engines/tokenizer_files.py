"""Reading a tokenizer from a model's folder, by its Hugging Face files.

In: a folder. Out: the tokenizer as the library has it, or a ValueError with a suggested fix. Where `mistral_common` is
installed the library prefers its tokenizer (`tekken.json`), which has no Jinja template and cannot render text that is
tokenised later.
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
    """Raises ValueError with a suggested fix where a folder holds no tokenizer that can be used."""
    if any((folder / file).exists() for file in TOKENIZER_FILES):
        return
    if (folder / _TEKKEN).exists():
        raise UserError(
            f"model {name!r} has its tokenizer in mistral_common's format alone ({folder / _TEKKEN}), without a Jinja "
            "chat template. Put the tokenizer.json, tokenizer_config.json and chat_template.jinja of a Hugging Face "
            "conversion of the model into a copy of the folder."
        )
    raise UserError(f"model.path: {folder} holds no tokenizer. Save one there with tokenizer.save_pretrained().")


def read_tokenizer(name: str, folder: Path) -> "PreTrainedTokenizerBase":
    """The tokenizer in a folder."""
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    check_files(name, folder)
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    if type(tokenizer).__name__.startswith(_OF_MISTRAL):
        if not (folder / "tokenizer.json").exists():
            raise UserError(
                f"model {name!r} has no tokenizer.json beside its {_TEKKEN} ({folder}): put that of a Hugging Face "
                "conversion of the model into a copy of the folder, or uninstall mistral-common"
            )
        return PreTrainedTokenizerFast.from_pretrained(folder)
    return tokenizer
