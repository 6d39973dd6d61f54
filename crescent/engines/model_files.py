"""Files of a model on disk and on the hub: where they are, which of them hold weights, and the chat templates in them.

In: a `ModelSource` (such as `Weights`), or a folder. Out: paths, counts, texts, or a ValueError if files cannot be
downloaded. This module loads no model.
"""

import json
import math
import shutil
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from crescent.engines import gguf
from crescent.engines.memory import Need

# Files besides the weights that determine what a model computes; others in a repository (README, ONNX) do not.
SMALL = ("*.json", "*.jinja", "tokenizer.model", "merges.txt", "vocab.txt")
_WHOLE, INDEX = "model.safetensors", "model.safetensors.index.json"


class ModelSource(Protocol):
    """Where a model's files are: a folder, a GGUF file, or a hub repository. The fields are those of `Weights`."""

    @property
    def path(self) -> str: ...

    @property
    def revision(self) -> str | None: ...

    @property
    def gguf_file(self) -> str | None: ...

    @property
    def is_gguf(self) -> bool: ...

    @property
    def is_local(self) -> bool: ...


def weight_files(folder: Path) -> list[Path]:
    """Files that `from_pretrained` reads weights from. Many repositories contain the weights a second time in another
    format (pytorch_model.bin, consolidated.safetensors)."""
    names = [file.name for file in folder.iterdir() if file.suffix in (".safetensors", ".bin")]
    index = folder / INDEX
    shards = set(json.loads(index.read_text())["weight_map"].values()) if index.exists() else set()
    return [folder / name for name in sorted(_read_by_the_library(names, shards))]


def _read_by_the_library(names: Collection[str], shards: Collection[str]) -> Collection[str]:
    """Selects among the names of weight files. `shards` are the files named in the index."""
    # applied by the library where they are in the folder
    adapters = {name for name in names if name.startswith("adapter_model.")}
    if _WHOLE in names:
        return {_WHOLE, *adapters}
    if shards:
        return {*shards, *adapters}
    safe = [name for name in names if name.endswith(".safetensors")]
    return safe or names


def local_folder(source: ModelSource) -> Path:
    """Returns the folder with the model's files. A hub id is resolved through the Hugging Face cache and downloaded if
    necessary; a GGUF file is converted on first use."""
    if source.is_gguf:
        return gguf.folder_of(gguf_path(source))
    if source.is_local:
        return Path(source.path).expanduser()
    from huggingface_hub import snapshot_download

    def fetch(*patterns: str) -> Path:
        return Path(snapshot_download(source.path, revision=source.revision, allow_patterns=list(patterns)))

    try:
        folder = fetch(*SMALL, _WHOLE)
        if (folder / _WHOLE).exists():
            return folder
        if (folder / INDEX).exists():
            return fetch(*(file.name for file in weight_files(folder)))
        return fetch("*.safetensors", "*.bin")
    except Exception as error:  # the hub client raises a different class for each reason
        raise _not_fetched(source, error) from error


def _not_fetched(source: ModelSource, error: Exception) -> ValueError:
    what = f"{source.path}/{source.gguf_file}" if source.gguf_file else source.path
    reason = str(error).strip().splitlines()[0]
    return ValueError(
        f"model.path: {what!r} is not on this machine and could not be downloaded ({reason}). "
        f"Download it on a machine with network access, then give its {'path' if source.gguf_file else 'folder'}."
    )


def gguf_path(source: ModelSource, here: bool = False) -> Path:
    """Path of the GGUF file. A file in a hub repository is downloaded if necessary; with `here`, raises instead."""
    if source.is_local:
        return Path(source.path, source.gguf_file or "").expanduser()
    from huggingface_hub import hf_hub_download

    assert source.gguf_file is not None, "a path that ends in .gguf is local"
    try:
        return Path(hf_hub_download(source.path, source.gguf_file, revision=source.revision, local_files_only=here))
    except Exception as error:  # as above
        raise _not_fetched(source, error) from error


def number_count(folder: Path) -> int:
    """Counts a model's parameters from the headers of its files."""
    from safetensors import safe_open

    count = 0
    files = weight_files(folder)
    for file in files if files and files[0].suffix == ".safetensors" else ():
        with safe_open(file, framework="numpy") as tensors:
            count += sum(math.prod(tensors.get_slice(name).get_shape()) for name in tensors.keys())  # noqa: SIM118
    # pickles show only their size: assume 2 bytes per parameter
    return count or sum(file.stat().st_size for file in files) // 2


def download_need(source: ModelSource) -> Need | None:
    """Disk space for a model that must be downloaded from the hub; None if it is on disk, or if the hub does not
    answer."""
    if source.is_local:
        return None
    from huggingface_hub import HfApi, constants, snapshot_download

    with suppress(Exception):  # not on disk, whatever the error
        if source.is_gguf:
            gguf_path(source, here=True)
            return None
        here = snapshot_download(source.path, revision=source.revision, local_files_only=True)
        if all(file.exists() for file in weight_files(Path(here))):
            return None
    try:
        files = HfApi().model_info(source.path, revision=source.revision, files_metadata=True).siblings or []
    except Exception:  # `local_folder` reports the reason
        return None
    if source.is_gguf:
        wanted = [file for file in files if file.rfilename == source.gguf_file]
    else:
        names = {file.rfilename for file in files if file.rfilename.endswith((".safetensors", ".bin"))}
        # names used by the library
        shards = {name for name in names if name.startswith("model-") and name.endswith(".safetensors")}
        read = _read_by_the_library(names, shards)
        small = [file for file in files if any(Path(file.rfilename).match(pattern) for pattern in SMALL)]
        wanted = [*small, *(file for file in files if file.rfilename in read)]
    place = Path(constants.HF_HUB_CACHE)
    there = next(folder for folder in (place, *place.parents) if folder.exists())
    return Need(
        f"disk to download {source.path} ({place})", sum(file.size or 0 for file in wanted),
        shutil.disk_usage(there).free, "Free space there, or set HF_HOME to a folder with more.",
    )  # fmt: skip


def folder_if_here(source: ModelSource) -> Path | None:
    """Returns the folder with a model's small files (config, tokenizer) if it is on this machine already. A local GGUF
    file is converted for it."""
    if source.is_gguf:
        try:
            file = gguf_path(source, here=True)
        except ValueError:
            return None
        return gguf.folder_of(file) if file.is_file() else None
    if source.is_local:
        folder = Path(source.path).expanduser()
        return folder if folder.is_dir() else None
    from huggingface_hub import snapshot_download

    try:
        return Path(
            snapshot_download(source.path, revision=source.revision, allow_patterns=list(SMALL), local_files_only=True)
        )
    except Exception:  # not on disk, or not a valid hub id: the client has a class for each
        return None


def has_chat_template(folder: Path) -> bool:
    return bool(chat_templates(folder))


def chat_templates(folder: Path) -> list[str]:
    """The chat templates of a folder: in a file of their own, or in the tokenizer's config, where several templates are
    a list of {"name": "default", "template": "..."}."""
    file = folder / "chat_template.jinja"
    found: list[Any] = [file.read_text(encoding="utf-8")] if file.exists() else []
    for name in ("chat_template.json", "tokenizer_config.json"):
        if (folder / name).exists():
            found.append(json.loads((folder / name).read_text(encoding="utf-8")).get("chat_template"))
    texts = [one for entry in found for one in (entry if isinstance(entry, list) else [entry])]
    return [str(one["template"] if isinstance(one, dict) else one) for one in texts if one]
