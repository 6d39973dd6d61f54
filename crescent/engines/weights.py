"""Which weights to use and how to load them: any Hugging Face causal language model (hub id or folder), or a GGUF file.

In: a `Weights`. Out: a model in eval mode with its tokenizer, the identity that belongs in keys, or a UserError that
names the problem before anything large is read. This module generates nothing.
"""

import hashlib
import json
import math
import shutil
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from crescent.core.errors import UserError
from crescent.core.number_format import AUTO, DTYPES, resolved_dtype
from crescent.core.store import internal, make_key, omit_from_key_at, write_atomic
from crescent.engines import gguf
from crescent.engines.attention import needed_attention
from crescent.engines.dates import DATE, check_date, is_dated, with_date
from crescent.engines.memory import Need, oom_error_as
from crescent.engines.template_arguments import check_arguments, check_read, with_arguments
from crescent.engines.thoughts import may_think, why_thinking
from crescent.engines.tokenizer_files import check_files, read_tokenizer
from crescent.engines.turns import Turn, turn_of
from crescent.engines.vocabulary import check_vocabulary

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Template = Literal["chat", "completion"]
# Format in which a model without chat tuning is prompted: that of most questions with answers in its pretraining data.
# A prompt that begins with "Question:" already has this format and is left unchanged. Training adds the end of the
# answer.
COMPLETION = (
    "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'assistant' %}"
    "{{ ' ' + message['content'] }}{% if loop.last %}{{ eos_token }}{% else %}{{ '\n\n' }}{% endif %}"
    "{% elif message['content'].startswith('Question:') %}{{ message['content'] }}"
    "{% else %}{{ 'Question: ' + message['content'] + '\nAnswer:' }}{% endif %}{% endfor %}"
)
# Files besides the weights that determine what a model computes; others in a repository (README, ONNX) do not.
_SMALL = ("*.json", "*.jinja", "tokenizer.model", "merges.txt", "vocab.txt")
_WHOLE, _INDEX = "model.safetensors", "model.safetensors.index.json"
_AS_LISTED = Turn(None, True, False)  # without a chat template: plain text ends with the tokenizer's own token


@dataclass(frozen=True, slots=True)
class Weights:
    """A model by hub id, folder or `.gguf` file, its dtype in memory, and an optional adapter (a folder) to merge.

    `gguf_file` names the file to read in a hub repository or in a folder of GGUF files.
    `dtype` "auto" is resolved for a device by `on` before anything is loaded or a key is made.
    `template`: "chat" is the model's own chat template; "completion" prompts a model without one in plain text
    (`COMPLETION`). `date_string` is the date for chat templates that print today's date (Llama 3.2).
    `chat_template_kwargs` are passed to the chat template wherever it is rendered ({"enable_thinking": False}).
    `thinking_tokens` are added to every limit of new tokens, for what a thinking model writes before its answer.
    """

    name: str
    path: str
    dtype: str = "float32"
    revision: str | None = None
    adapter: Path | None = internal(default=None)
    adapter_key: str | None = internal(default=None)
    template: Template = "chat"
    gguf_file: str | None = omit_from_key_at(None)
    date_string: str = omit_from_key_at(DATE)
    chat_template_kwargs: Mapping[str, Any] | None = field(default=None, hash=False, metadata={"omit_at": None})
    thinking_tokens: int = omit_from_key_at(0)

    def __post_init__(self) -> None:
        check_date(self.date_string)
        if self.dtype not in (AUTO, *DTYPES):
            raise UserError(f"model.dtype is {self.dtype!r}; it may be {', '.join((AUTO, *DTYPES))}")
        if self.gguf_file is not None and (not self.gguf_file.endswith(gguf.SUFFIX) or self.path.endswith(gguf.SUFFIX)):
            raise UserError(
                f"model.gguf_file is {self.gguf_file!r}; it must be the name of a .gguf file in the "
                f"repository or folder model.path, which is {self.path!r}"
            )
        if not self.chat_template_kwargs:
            object.__setattr__(self, "chat_template_kwargs", None)
        check_arguments(self.chat_template_kwargs or {})
        if self.chat_template_kwargs and self.template != "chat":
            raise UserError(
                f"model.chat_template_kwargs needs a model's own chat template; {self.name} has model.template="
                f"{self.template}. Remove them."
            )
        if self.thinking_tokens < 0:
            raise UserError(f"model.thinking_tokens is {self.thinking_tokens}; it must be 0 (no room) or more")

    def on(self, device: str) -> "Weights":
        """Resolves `dtype` "auto" for a device. Keys need the resolved dtype because it changes results."""
        return replace(self, dtype=resolved_dtype(self.dtype, device))

    def with_adapter(self, path: Path, key: str) -> "Weights":
        """The same model with an adapter merged in (a folder written by peft's `save_pretrained`)."""
        return replace(self, adapter=path, adapter_key=key)

    def in_folder(self, folder: Path) -> "Weights":
        """The same model from a folder in the Hugging Face layout."""
        return replace(self, path=str(folder), revision=None, gguf_file=None)

    @property
    def is_gguf(self) -> bool:
        """True if the weights are read from a GGUF file."""
        return self.gguf_file is not None or self.path.endswith(gguf.SUFFIX)

    @property
    def is_local(self) -> bool:
        """True if `path` means a folder or file: it exists, or is written like a path."""
        written = self.path.startswith(("/", ".", "~")) or self.path.endswith(gguf.SUFFIX)
        return written or Path(self.path).expanduser().exists()


def check(weights: Weights) -> None:
    """Raises UserError if a local model does not exist, is not a chat model, or cannot be used. For a hub id, checks
    only what is on this machine. Reads no weights."""
    if not weights.is_local:
        check_tokens(weights)
        return
    folder = local_folder(weights) if weights.is_gguf else Path(weights.path).expanduser()
    if not folder.is_dir():
        raise UserError(
            f"model.path: there is no folder {folder}. Give a Hugging Face id or the folder of a saved model."
        )
    if not (folder / "config.json").exists():
        raise UserError(f"model.path: {folder} has no config.json. Save a model there with save_pretrained().")
    check_files(weights.name, folder)
    missing = [file.name for file in weight_files(folder) if not file.exists()]
    if missing:
        raise UserError(f"model.path: {folder} lacks {missing[0]}, which {_INDEX} lists. Copy it there again.")
    if weights.template == "chat" and not _has_chat_template(folder):
        raise UserError(
            f"model {weights.name!r} has no chat template ({folder}), but Crescent prompts in chat turns. Choose a "
            "chat model, add a chat_template.jinja to the folder, or prompt in plain text: model.template=completion "
            "domain=math_completion."
        )
    check_tokens(weights)


def check_tokens(weights: Weights) -> None:
    """Raises UserError if a model's chat template does not read its arguments, or if the model lacks embeddings for
    tokens of its tokenizer. Files that are not on this machine are skipped; nothing is downloaded."""
    folder = folder_if_here(weights)
    if folder is None:
        return
    check_template_arguments(weights)
    if (folder / "config.json").exists():
        check_vocabulary(weights.name, folder)


def check_template_arguments(weights: Weights) -> None:
    """Raises UserError if the chat template has no variable with an argument's name."""
    folder = folder_if_here(weights)
    if folder is not None and weights.chat_template_kwargs:
        check_read(weights.name, weights.chat_template_kwargs, _chat_templates(folder))


def why_it_thinks(weights: Weights) -> str | None:
    """Returns the evidence in the chat template that a model thinks before it answers, given its arguments. None for
    other models, and for models that are not on this machine."""
    folder = folder_if_here(weights)
    if weights.template != "chat" or folder is None or not any(map(may_think, _chat_templates(folder))):
        return None
    tokenizer = tokenizer_if_here(weights)
    return why_thinking(tokenizer) if tokenizer else None


def identity(weights: Weights, cache: Path | None = None, to_train: bool = False) -> str:
    """Returns a hash that identifies these weights: their content, dtype and adapter.

    A folder's files are hashed once and cached in `cache` (JSON) by path, size and modification time. For a hub id that
    is not on disk, the files are downloaded first. `to_train`: the identity of what training starts from.
    """
    assert weights.dtype != AUTO, "which number format these weights have is decided by Weights.on"
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
    attention = _attention(folder)
    if attention is not None:  # the library's own choice is not in keys
        about["attention"] = attention
    return make_key("weights", 1, about)


def _content(folder: Path, known: dict[str, str]) -> list[tuple[str, str]]:
    """Files that determine what a model computes, each with its sha256, which is cached in `known`."""
    content: list[tuple[str, str]] = []
    for file in sorted({*weight_files(folder), *(file for pattern in _SMALL for file in folder.glob(pattern))}):
        stat = file.stat()
        mark = f"{file.resolve()}:{stat.st_size}:{stat.st_mtime_ns}"
        if mark not in known:
            with open(file, "rb") as handle:
                known[mark] = hashlib.file_digest(handle, "sha256").hexdigest()
        content.append((file.name, known[mark]))
    return content


def _gguf_content(weights: Weights) -> list[tuple[str, str]]:
    """`_content` of a GGUF file, independent of its name and of the transformers release that reads it."""
    return [("gguf", gguf.content_hash(_gguf_path(weights))), ("reading", str(gguf.READING))]


def is_date_read(weights: Weights, folder: Path | None) -> bool:
    """True if the model's prompts depend on `date_string`."""
    if weights.template != "chat" or folder is None:
        return False
    return any(is_dated(template, weights.date_string) for template in _chat_templates(folder))


def turn_end(weights: Weights) -> Turn:
    """How turns of a model end, according to its chat template and its list of end tokens."""
    folder = local_folder(weights)
    if weights.template != "chat" or not _has_chat_template(folder):
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
    if weights.template != "chat" or not _has_chat_template(folder):
        return _AS_LISTED
    small = [entry for entry in content if not entry[0].endswith((".safetensors", ".bin"))]
    asked: list[Any] = [*small, weights.chat_template_kwargs] if weights.chat_template_kwargs else small
    mark = "turn:" + make_key("turn", 1, asked)
    if mark not in known:
        known[mark] = json.dumps(asdict(turn_end(weights)))
    return Turn(**json.loads(known[mark]))


def weight_files(folder: Path) -> list[Path]:
    """Files that `from_pretrained` reads weights from. Many repositories contain the weights a second time in another
    format (pytorch_model.bin, consolidated.safetensors)."""
    names = [file.name for file in folder.iterdir() if file.suffix in (".safetensors", ".bin")]
    index = folder / _INDEX
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


def local_folder(weights: Weights) -> Path:
    """Returns the folder with the model's files. A hub id is resolved through the Hugging Face cache and downloaded if
    necessary; a GGUF file is converted on first use."""
    if weights.is_gguf:
        return gguf.folder_of(_gguf_path(weights))
    if weights.is_local:
        return Path(weights.path).expanduser()
    from huggingface_hub import snapshot_download

    def fetch(*patterns: str) -> Path:
        return Path(snapshot_download(weights.path, revision=weights.revision, allow_patterns=list(patterns)))

    try:
        folder = fetch(*_SMALL, _WHOLE)
        if (folder / _WHOLE).exists():
            return folder
        if (folder / _INDEX).exists():
            return fetch(*(file.name for file in weight_files(folder)))
        return fetch("*.safetensors", "*.bin")
    except Exception as error:  # the hub client raises a different class for each reason
        raise _not_fetched(weights, error) from error


def _not_fetched(weights: Weights, error: Exception) -> ValueError:
    what = f"{weights.path}/{weights.gguf_file}" if weights.gguf_file else weights.path
    reason = str(error).strip().splitlines()[0]
    return ValueError(
        f"model.path: {what!r} is not on this machine and could not be downloaded ({reason}). "
        f"Download it on a machine with network access, then give its {'path' if weights.gguf_file else 'folder'}."
    )


def _gguf_path(weights: Weights, here: bool = False) -> Path:
    """Path of the GGUF file. A file in a hub repository is downloaded if necessary; with `here`, raises instead."""
    if weights.is_local:
        return Path(weights.path, weights.gguf_file or "").expanduser()
    from huggingface_hub import hf_hub_download

    assert weights.gguf_file is not None, "a path that ends in .gguf is local"
    try:
        return Path(hf_hub_download(weights.path, weights.gguf_file, revision=weights.revision, local_files_only=here))
    except Exception as error:  # as above
        raise _not_fetched(weights, error) from error


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


def download_need(weights: Weights) -> Need | None:
    """Disk space for a model that must be downloaded from the hub; None if it is on disk, or if the hub does not
    answer."""
    if weights.is_local:
        return None
    from huggingface_hub import HfApi, constants, snapshot_download

    with suppress(Exception):  # not on disk: errors differ between releases
        if weights.is_gguf:
            _gguf_path(weights, here=True)
            return None
        here = snapshot_download(weights.path, revision=weights.revision, local_files_only=True)
        if all(file.exists() for file in weight_files(Path(here))):
            return None
    try:
        files = HfApi().model_info(weights.path, revision=weights.revision, files_metadata=True).siblings or []
    except Exception:  # `local_folder` reports the reason
        return None
    if weights.is_gguf:
        wanted = [file for file in files if file.rfilename == weights.gguf_file]
    else:
        names = {file.rfilename for file in files if file.rfilename.endswith((".safetensors", ".bin"))}
        # names used by the library
        shards = {name for name in names if name.startswith("model-") and name.endswith(".safetensors")}
        read = _read_by_the_library(names, shards)
        small = [file for file in files if any(Path(file.rfilename).match(pattern) for pattern in _SMALL)]
        wanted = [*small, *(file for file in files if file.rfilename in read)]
    place = Path(constants.HF_HUB_CACHE)
    there = next(folder for folder in (place, *place.parents) if folder.exists())
    return Need(
        f"disk to download {weights.path} ({place})", sum(file.size or 0 for file in wanted),
        shutil.disk_usage(there).free, "Free space there, or set HF_HOME to a folder with more.",
    )  # fmt: skip


def load(weights: Weights, device: str) -> "tuple[PreTrainedModel, PreTrainedTokenizerBase]":
    """Returns the model in eval mode on `device`, adapter merged, and its tokenizer with a pad token set."""
    import torch
    from transformers import AutoModelForCausalLM

    assert weights.dtype != AUTO, "which number format these weights have is decided by Weights.on"
    folder = local_folder(weights)
    attention = _attention(folder)
    with oom_error_as(
        f"out of memory while loading {weights.name} in {weights.dtype} on {device}. Use a smaller model, "
        "model.dtype=bfloat16, another engine.device, or close other programs."
    ):
        model: Any = AutoModelForCausalLM.from_pretrained(
            folder, dtype=getattr(torch, weights.dtype), attn_implementation=attention
        )
        if weights.adapter is not None:
            from peft import PeftModel

            model = PeftModel.from_pretrained(model, str(weights.adapter)).merge_and_unload()
        model = model.to(device).eval()
    return model, load_tokenizer(weights)


def load_tokenizer(weights: Weights) -> "PreTrainedTokenizerBase":
    """Returns the tokenizer, padding on the left as decoding requires; the pad token defaults to the end token."""
    tokenizer = read_tokenizer(weights.name, local_folder(weights))
    tokenizer.chat_template = asked_template(weights, tokenizer)
    if tokenizer.chat_template is None:
        raise UserError(
            f"model {weights.name!r} has no chat template, but Crescent prompts in chat turns. Choose a chat model."
        )
    if isinstance(tokenizer.chat_template, str):
        tokenizer.chat_template = with_date(tokenizer.chat_template, weights.date_string)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = "left"
    return tokenizer


def asked_template(weights: Weights, tokenizer: "PreTrainedTokenizerBase") -> Any:
    """The chat template with its arguments applied, so that engines, training masks and the harness prompt
    identically."""
    if weights.template == "completion":
        return COMPLETION
    return with_arguments(tokenizer.chat_template, weights.chat_template_kwargs or {})


def tokenizer_if_here(weights: Weights) -> "PreTrainedTokenizerBase | None":
    """Returns the tokenizer if it is on this machine already; downloads nothing."""
    folder = folder_if_here(weights)
    if folder is None:
        return None
    try:
        return load_tokenizer(weights.in_folder(folder))
    except (OSError, ValueError):
        return None


def folder_if_here(weights: Weights) -> Path | None:
    """Returns the folder with a model's small files (config, tokenizer) if it is on this machine already. A local GGUF
    file is converted for it."""
    if weights.is_gguf:
        try:
            file = _gguf_path(weights, here=True)
        except ValueError:
            return None
        return gguf.folder_of(file) if file.is_file() else None
    if weights.is_local:
        folder = Path(weights.path).expanduser()
        return folder if folder.is_dir() else None
    from huggingface_hub import snapshot_download

    try:
        return Path(
            snapshot_download(
                weights.path, revision=weights.revision, allow_patterns=list(_SMALL), local_files_only=True
            )
        )
    except Exception:  # not on disk, or not a valid hub id: the client has a class for each
        return None


def _attention(folder: Path) -> str | None:
    """The attention implementation required by a model's config.json; None for the library's default."""
    file = folder / "config.json"
    return needed_attention(json.loads(file.read_text(encoding="utf-8"))) if file.exists() else None


def _has_chat_template(folder: Path) -> bool:
    return bool(_chat_templates(folder))


def _chat_templates(folder: Path) -> list[str]:
    """The chat templates of a folder: in a file of their own, or in the tokenizer's config, where several templates are
    a list of {"name": "default", "template": "..."}."""
    file = folder / "chat_template.jinja"
    found: list[Any] = [file.read_text(encoding="utf-8")] if file.exists() else []
    for name in ("chat_template.json", "tokenizer_config.json"):
        if (folder / name).exists():
            found.append(json.loads((folder / name).read_text(encoding="utf-8")).get("chat_template"))
    texts = [one for entry in found for one in (entry if isinstance(entry, list) else [entry])]
    return [str(one["template"] if isinstance(one, dict) else one) for one in texts if one]
