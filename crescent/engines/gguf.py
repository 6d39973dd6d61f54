"""Converts a GGUF file (llama.cpp's format) to a folder in the Hugging Face layout: config, tokenizer, float32 weights.

In: a `.gguf` file. Out: a folder in `cache_folder()`, named by a hash of the file's content, written atomically.
Weights are dequantised and never rounded again, so generation, training, scoring and export treat the model like any
other. The model does not stay small: 4 bytes per parameter, on disk and in memory.
"""

import hashlib
import json
import logging
import mmap
import os
import shutil
import struct
import tempfile
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from crescent.core.cache import cache_folder
from crescent.core.errors import UserError
from crescent.core.store import write_atomic
from crescent.engines.memory import gigabytes, oom_error_as

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

READING = 1  # part of keys: increased when a file is read into other weights or another tokenizer than before
SUFFIX = ".gguf"
# Values of tokenizer.ggml.pre whose vocabularies were trained on text with every digit separate, as llama.cpp splits it
# (src/llama-vocab.cpp). transformers splits like GPT-2, which encodes "\n\n1" as three tokens instead of two.
DIGITS_APART = ("codeshell", "command-r", "exaone", "minerva-7b", "refact", "smollm", "starcoder")
log = logging.getLogger(__name__)


def check_file(file: Path) -> None:
    """Raises UserError if the file does not exist, is not a complete GGUF file, or cannot be read in this
    environment."""
    if not file.is_file():
        raise UserError(
            f"model.path: there is no file {file}. Give the path of a .gguf file; `python -m crescent.cli.models` "
            "downloads the models of Crescent's configuration."
        )
    with open(file, "rb") as start:
        if start.read(4) != b"GGUF":
            raise UserError(f"model.path: {file} is not a GGUF file (it does not begin with GGUF). Download it again.")
    if "-of-0" in file.stem:  # llama.cpp's name for a part: model-00001-of-00003.gguf
        raise UserError(
            f"model.path: {file} is one part of a model. Join the parts with llama.cpp's `llama-gguf-split --merge`, "
            "then give the joined file."
        )
    if find_spec("gguf") is None:
        raise UserError("model.path: reading a .gguf file needs the package gguf: pip install 'crescent-lm[gguf]'")


def content_hash(file: Path) -> str:
    """sha256 of the file's bytes, cached by path, size and modification time because large files take long."""
    stat = file.stat()
    return _content_hash(file.resolve(), stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=8)
def _content_hash(file: Path, size: int, changed: int) -> str:
    name = hashlib.sha256(f"{file}:{size}:{changed}".encode()).hexdigest()[:24]
    known = cache_folder() / "gguf" / "hashes" / name
    if known.exists():
        return known.read_text(encoding="utf-8")
    with open(file, "rb") as handle:
        found = hashlib.file_digest(handle, "sha256").hexdigest()
    known.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(known, found)
    return found


def folder_of(file: Path) -> Path:
    """Returns the folder with the converted model; converts the file on first use. Raises UserError if that fails."""
    check_file(file)
    folder = cache_folder() / "gguf" / f"{content_hash(file)[:24]}-{READING}"
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        if not folder.exists():  # another process may have converted it while this one waited
            log.warning("converting %s to float32 weights (once; cached in %s)", file, folder)
            with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".reading-") as scratch:
                _read(file, Path(scratch) / "model")
                os.rename(Path(scratch) / "model", folder)
    return folder


def _read(file: Path, folder: Path) -> None:
    """Writes the model of `file` to `folder`. transformers refuses to save the loaded model because it still counts as
    quantised, so the weights are moved into a model that does not."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    place: dict[str, Any] = {"pretrained_model_name_or_path": str(file.parent), "gguf_file": file.name}
    try:
        with oom_error_as(f"out of memory while reading {file} in float32. Close other programs."):
            tokenizer: Any = AutoTokenizer.from_pretrained(**place)
            read: Any = AutoModelForCausalLM.from_pretrained(**place, dtype=torch.float32)
    except (ValueError, NotImplementedError, KeyError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"model.path: transformers cannot read {file}: {reason}") from error
    _check_room(sum(parameter.numel() for parameter in read.parameters()) * 4, folder.parent)
    config = read.config
    config.__dict__.pop("quantization_config", None)
    with torch.device("meta"):
        plain = type(read)._from_config(config, dtype=torch.float32)
    plain.load_state_dict(read.state_dict(), assign=True)
    plain.tie_weights()
    plain.generation_config = read.generation_config
    plain.save_pretrained(folder)
    _split_as_trained(tokenizer, file)
    tokenizer.model_max_length = config.max_position_embeddings
    tokenizer.save_pretrained(folder)
    _drop_what_the_library_added(folder, plain.get_input_embeddings().weight.shape[0])


def _check_room(needed: int, folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise UserError(
            f"model.path: this GGUF file's model takes {gigabytes(needed)} on disk in float32, but {folder.parent} "
            f"has {gigabytes(free)} free. Free space there, or set HF_HOME to a folder with more."
        )


def _split_as_trained(tokenizer: "PreTrainedTokenizerBase", file: Path) -> None:
    """Makes the tokenizer split digits as its vocabulary was trained, if the file requires it."""
    from tokenizers import pre_tokenizers

    if _pre_tokenizer_name(file) in DIGITS_APART:
        backend: Any = tokenizer
        backend.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        )


def _pre_tokenizer_name(file: Path) -> str:
    """Value of `tokenizer.ggml.pre`: llama.cpp's name for how text is split before merges; "" if the file has none.

    A string in the header is its key (8 bytes of length, then UTF-8), its type 8 (4 bytes), and its value (like the
    key). The gguf package's reader would first build every token of the vocabulary, which takes seconds.
    """
    key = b"tokenizer.ggml.pre"
    with open(file, "rb") as handle, mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as content:
        start = content.find(struct.pack("<Q", len(key)) + key + struct.pack("<I", 8))
        if start < 0:
            return ""
        start += 8 + len(key) + 4
        (length,) = struct.unpack_from("<Q", content, start)
        return content[start + 8 : start + 8 + length].decode("utf-8")


def _drop_what_the_library_added(folder: Path, embeddings: int) -> None:
    """Removes from the tokenizer in `folder` its load options and all tokens beyond the embeddings: if a file names no
    token for unknown text, transformers adds GPT-2's."""
    settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    known = [token for token in tokenizer["added_tokens"] if token["id"] < embeddings]
    dropped = {token["content"] for token in tokenizer["added_tokens"]} - {token["content"] for token in known}
    if tokenizer["model"].get("unk_token") in dropped:
        tokenizer["model"]["unk_token"] = None
    kept = {
        key: value
        for key, value in settings.items()
        if key not in ("is_local", "local_files_only") and not (isinstance(value, str) and value in dropped)
    }
    for name, value in (("tokenizer.json", {**tokenizer, "added_tokens": known}), ("tokenizer_config.json", kept)):
        write_atomic(folder / name, json.dumps(value, indent=2, ensure_ascii=False) + "\n")
