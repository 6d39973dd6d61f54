"""Which weights to use and how to load them: any Hugging Face causal language model (hub id or folder), or a GGUF file.

In: a `Weights`. Out: a model in eval mode with its tokenizer, or a UserError that names the problem before anything
large is read. Files are located in `model_files`, keys are made in `identity`. This module generates nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from crescent.core.errors import UserError
from crescent.core.number_format import AUTO, DTYPES, resolved_dtype
from crescent.core.store import internal, omit_from_key_at
from crescent.engines import gguf
from crescent.engines.attention import needed_attention_in
from crescent.engines.dates import DATE, check_date, with_date
from crescent.engines.memory import oom_error_as
from crescent.engines.model_files import (
    INDEX,
    chat_templates,
    folder_if_here,
    has_chat_template,
    local_folder,
    weight_files,
)
from crescent.engines.template_arguments import check_arguments, check_read, with_arguments
from crescent.engines.thoughts import may_think, why_thinking
from crescent.engines.tokenizer_files import check_files, read_tokenizer
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
        raise UserError(f"model.path: {folder} lacks {missing[0]}, which {INDEX} lists. Copy it there again.")
    if weights.template == "chat" and not has_chat_template(folder):
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
        check_read(weights.name, weights.chat_template_kwargs, chat_templates(folder))


def why_it_thinks(weights: Weights) -> str | None:
    """Returns the evidence in the chat template that a model thinks before it answers, given its arguments. None for
    other models, and for models that are not on this machine."""
    folder = folder_if_here(weights)
    if weights.template != "chat" or folder is None or not any(map(may_think, chat_templates(folder))):
        return None
    tokenizer = tokenizer_if_here(weights)
    return why_thinking(tokenizer) if tokenizer else None


def load(weights: Weights, device: str) -> "tuple[PreTrainedModel, PreTrainedTokenizerBase]":
    """Returns the model in eval mode on `device`, adapter merged, and its tokenizer with a pad token set."""
    import torch
    from transformers import AutoModelForCausalLM

    assert weights.dtype != AUTO, "resolve the dtype with Weights.on first"
    folder = local_folder(weights)
    attention = needed_attention_in(folder)
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
    tokenizer.chat_template = with_date(tokenizer.chat_template, weights.date_string)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = "left"
    return tokenizer


def load_config(weights: Weights) -> Any:
    """The model's configuration."""
    from transformers import AutoConfig

    return AutoConfig.from_pretrained(local_folder(weights))


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
