"""The identity of weights that belongs in keys, and what it depends on besides the files: ends of turns and dates.

In: a `Weights`. Out: a hash of the content of its files, with everything else that changes what the model writes. It
reads files and the tokenizer, and loads no model.
"""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from crescent.core.number_format import AUTO
from crescent.core.store import make_key, write_atomic
from crescent.engines import gguf
from crescent.engines.attention import needed_attention_in
from crescent.engines.dates import is_dated
from crescent.engines.model_files import (
    SMALL,
    chat_templates,
    folder_if_here,
    gguf_path,
    has_chat_template,
    local_folder,
    weight_files,
)
from crescent.engines.turns import Turn, turn_of
from crescent.engines.weights import COMPLETION, Weights, load_tokenizer, tokenizer_if_here

_AS_LISTED = Turn(None, True, False)  # without a chat template: plain text ends with the tokenizer's own token


def identity(weights: Weights, cache: Path | None = None, to_train: bool = False) -> str:
    """Returns a hash that identifies these weights: their content, dtype and adapter.

    A folder's files are hashed once and cached in `cache` (JSON) by path, size and modification time. For a hub id that
    is not on disk, the files are downloaded first. `to_train`: the identity of what training starts from.
    """
    assert weights.dtype != AUTO, "resolve the dtype with Weights.on first"
    folder = local_folder(weights)
    known: dict[str, str] = json.loads(cache.read_text()) if cache is not None and cache.exists() else {}
    content = _gguf_content(weights) if weights.is_gguf else _content(folder, known)
    turn = _turn(weights, folder, content, known)
    if cache is not None:
        cache.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(cache, json.dumps(known, indent=1, sort_keys=True))
    about: dict[str, Any] = {"files": content, "dtype": weights.dtype, "adapter": weights.adapter_key}
    if weights.template != "chat":
        about["template"] = COMPLETION
    if weights.chat_template_kwargs:
        about["chat_template_kwargs"] = weights.chat_template_kwargs
    if turn.unlisted is not None:  # these answers used to run on to the limit
        about["end_of_turn"] = turn.unlisted
    if to_train and turn.is_followed:  # training targets used to include text after the end of the turn
        about["is_cut_at_end_of_turn"] = True
    if is_date_read(weights, folder):
        about["date"] = weights.date_string
    attention = needed_attention_in(folder)
    if attention is not None:  # the library's own choice is not in keys
        about["attention"] = attention
    return make_key("weights", 1, about)


def _content(folder: Path, known: dict[str, str]) -> list[tuple[str, str]]:
    """Files that determine what a model computes, each with its sha256, which is cached in `known`."""
    content: list[tuple[str, str]] = []
    for file in sorted({*weight_files(folder), *(file for pattern in SMALL for file in folder.glob(pattern))}):
        stat = file.stat()
        mark = f"{file.resolve()}:{stat.st_size}:{stat.st_mtime_ns}"
        if mark not in known:
            with open(file, "rb") as handle:
                known[mark] = hashlib.file_digest(handle, "sha256").hexdigest()
        content.append((file.name, known[mark]))
    return content


def _gguf_content(weights: Weights) -> list[tuple[str, str]]:
    """`_content` of a GGUF file, independent of its name and of the transformers release that reads it."""
    return [("gguf", gguf.content_hash(gguf_path(weights))), ("reading", str(gguf.READING))]


def is_date_read(weights: Weights, folder: Path | None) -> bool:
    """True if the model's prompts depend on `date_string`."""
    if weights.template != "chat" or folder is None:
        return False
    return any(is_dated(template, weights.date_string) for template in chat_templates(folder))


def turn_end(weights: Weights) -> Turn:
    """How turns of a model end, according to its chat template and its list of end tokens."""
    folder = local_folder(weights)
    if weights.template != "chat" or not has_chat_template(folder):
        return _AS_LISTED
    return turn_of(folder, load_tokenizer(weights))


def turn_if_here(weights: Weights) -> Turn:
    """`turn_end` if the model's tokenizer is on this machine; otherwise assumes that the model lists its end of
    turn."""
    folder = folder_if_here(weights)
    if folder is None or tokenizer_if_here(weights) is None:
        return _AS_LISTED
    return turn_end(weights.in_folder(folder))


def _turn(weights: Weights, folder: Path, content: list[tuple[str, str]], known: dict[str, str]) -> Turn:
    """`turn_end`, cached in `known` by the content of the files that determine it."""
    if weights.template != "chat" or not has_chat_template(folder):
        return _AS_LISTED
    small = [entry for entry in content if not entry[0].endswith((".safetensors", ".bin"))]
    asked: list[Any] = [*small, weights.chat_template_kwargs] if weights.chat_template_kwargs else small
    mark = "turn:" + make_key("turn", 1, asked)
    if mark not in known:
        known[mark] = json.dumps(asdict(turn_end(weights)))
    return Turn(**json.loads(known[mark]))
