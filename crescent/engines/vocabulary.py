"""Whether a model has an embedding for every token of its tokenizer, read from the files of both.

In: the folder of a model. Out: nothing, or a ValueError that names the token. No model library is imported, except for
a model whose config leaves its vocabulary to the library's defaults. More embeddings than tokens are usual: sizes are
padded to a multiple of 64 or so.
"""

import json
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from crescent.core.errors import UserError

_FILES = ("tokenizer.json", "tokenizer_config.json", "added_tokens.json", "vocab.json")
# Stand for pictures and sound, which no text-only model is given: Gemma 3 1B has one without an embedding.
_PLACEHOLDERS = ("image_token", "video_token", "audio_token")


def check_vocabulary(name: str, folder: Path) -> None:
    """Raises ValueError with a suggested fix if the tokenizer has a token that the model has no embedding for."""
    marks = tuple((file, (folder / file).stat().st_mtime_ns) for file in _FILES if (folder / file).exists())
    token, largest = _last_token(folder, marks)
    size = embedding_count(folder)
    if size is not None and largest >= size:
        raise UserError(
            f"model {name!r}: its tokenizer has the token {token!r} with id {largest}, its embeddings are {size} (ids "
            f"up to {size - 1}). Save it with the tokenizer that belongs to it, or give it more embeddings: "
            "model.resize_token_embeddings(len(tokenizer)), then save both."
        )


def embedding_count(folder: Path) -> int | None:
    """`vocab_size` of a model's config, that of its text part where it has several; None where it cannot be told."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    for part in (config.get("text_config") or {}, config):
        if isinstance(part.get("vocab_size"), int):
            return part["vocab_size"]
    from transformers import AutoConfig

    with suppress(ValueError, OSError, KeyError):  # a model that the library does not know: loading it tells
        size: Any = getattr(AutoConfig.from_pretrained(folder).get_text_config(), "vocab_size", None)
        return size
    return None


@lru_cache(maxsize=8)
def _last_token(folder: Path, marks: tuple[tuple[str, int], ...]) -> tuple[str, int]:
    """The token with the largest id, placeholders for other things than text aside. `marks` are the files, with their
    times of change: runs of one sweep read them once."""
    files = {name: json.loads((folder / name).read_text(encoding="utf-8")) for name, _ in marks}
    settings = files.get("tokenizer_config.json", {})
    placeholders = {settings[key] for key in _PLACEHOLDERS if isinstance(settings.get(key), str)}
    tokens = [(number, token) for token, number in _tokens(files) if token not in placeholders]
    number, token = max(tokens, default=(-1, ""))
    return token, number


def _tokens(files: dict[str, Any]) -> Iterator[tuple[str, int]]:
    """Each token of these files with its id.

    tokenizer.json: {"added_tokens": [{"id": 1, "content": "</s>", ...}], "model": {"vocab": {"a": 5, ...}, ...}}; the
    vocabulary of a unigram model is a list of [token, score].
    """
    whole = files.get("tokenizer.json", {})
    vocabulary = whole.get("model", {}).get("vocab", {})
    if isinstance(vocabulary, list):
        yield from ((str(entry[0]), number) for number, entry in enumerate(vocabulary))
    else:
        yield from vocabulary.items()
    yield from ((token["content"], token["id"]) for token in whole.get("added_tokens", ()))
    decoder = files.get("tokenizer_config.json", {}).get("added_tokens_decoder", {})
    yield from ((token["content"], int(number)) for number, token in decoder.items())
    for name in () if whole else ("added_tokens.json", "vocab.json"):  # beside the whole, they may be outdated
        yield from files.get(name, {}).items()
