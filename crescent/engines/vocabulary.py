"""Whether a model has an embedding for every token of its tokenizer, read from the files of both.

In: a model's folder. Out: nothing, or a UserError that names the token. No model library is imported, unless a config
leaves the vocabulary size to the library's defaults. More embeddings than tokens are common: sizes are padded to a
multiple of 64 or so.
"""

import json
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from crescent.core.errors import UserError

_FILES = ("tokenizer.json", "tokenizer_config.json", "added_tokens.json", "vocab.json")
# Placeholders for images and sound, which a text-only model never sees: Gemma 3 1B has one without an embedding.
_PLACEHOLDERS = ("image_token", "video_token", "audio_token")


def check_vocabulary(name: str, folder: Path) -> None:
    """Raises UserError if the tokenizer has a token without an embedding in the model."""
    marks = tuple((file, (folder / file).stat().st_mtime_ns) for file in _FILES if (folder / file).exists())
    token, largest = _last_token(folder, marks)
    size = embedding_count(folder)
    if size is not None and largest >= size:
        raise UserError(
            f"model {name!r}: its tokenizer has the token {token!r} with id {largest}, but the model only has {size} "
            f"embeddings (ids up to {size - 1}). Save it with the tokenizer that belongs to it, or give it more "
            "embeddings: model.resize_token_embeddings(len(tokenizer)), then save both."
        )


def embedding_count(folder: Path) -> int | None:
    """`vocab_size` of a model's config (of its text part, if it has one); None if unknown."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    for part in (config.get("text_config") or {}, config):
        if isinstance(part.get("vocab_size"), int):
            return part["vocab_size"]
    from transformers import AutoConfig

    with suppress(ValueError, OSError, KeyError):  # the library does not know the model: loading reports it
        size: Any = getattr(AutoConfig.from_pretrained(folder).get_text_config(), "vocab_size", None)
        return size
    return None


@lru_cache(maxsize=8)
def _last_token(folder: Path, marks: tuple[tuple[str, int], ...]) -> tuple[str, int]:
    """The token with the largest id, except placeholders for images and sound. `marks` are the files with their
    modification times, so that runs of one sweep read them once."""
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
    for name in () if whole else ("added_tokens.json", "vocab.json"):  # next to a tokenizer.json they may be outdated
        yield from files.get(name, {}).items()
