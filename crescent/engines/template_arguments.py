"""Arguments of chat templates: `model.chat_template_kwargs`, such as {"enable_thinking": False}.

In: a template and its arguments. Out: a template with the arguments as defaults, so that everything that renders it
(generation, training masks, the harness, a saved student) uses them; or a UserError that names an invalid argument.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from crescent.core.errors import UserError

_RESERVED = frozenset((
    "messages", "conversation", "add_generation_prompt", "continue_final_message", "tokenize", "tools", "documents",
    "bos_token", "eos_token", "return_dict", "return_tensors", "chat_template", "padding", "truncation", "max_length",
    "return_assistant_tokens_mask", "tokenizer_kwargs",
))  # fmt: skip


def check_arguments(arguments: Mapping[str, Any]) -> None:
    """Raises UserError for a name that no template variable can have, or a value that is not plain data."""
    for name, value in arguments.items():
        key = f"model.chat_template_kwargs.{name}"
        if not name.isidentifier() or name in _RESERVED:
            raise UserError(f"{key} cannot be set; use variables of the model's chat template, such as enable_thinking")
        if isinstance(value, str) and value.strip().lower() in ("true", "false", "null", "none"):
            raise UserError(f"{key} is the text {value!r}, which a template treats as true; write it without quotes")
        _literal(value, key)


def check_read(model: str, arguments: Mapping[str, Any], templates: Sequence[str]) -> None:
    """Raises UserError if no template contains an argument's name."""
    for name in arguments:
        if not any(re.search(rf"\b{name}\b", template) for template in templates):
            raise UserError(
                f"model.chat_template_kwargs.{name}: the chat template of {model} has no variable {name}. Correct the "
                "name, or remove it."
            )


def with_arguments(template: Any, arguments: Mapping[str, Any]) -> Any:
    """The template (or a dict of templates by name) with the arguments as defaults; unchanged without arguments."""
    if not arguments or template is None:
        return template
    if isinstance(template, Mapping):
        return {name: with_arguments(one, arguments) for name, one in template.items()}
    # Jinja trims the line break after each block, so the template's first line stays a line of its own.
    settings = "".join(
        f"{{% if {name} is not defined %}}{{% set {name} = {_literal(value, name)} %}}{{% endif %}}"
        for name, value in sorted(arguments.items())
    )
    return f"{settings}\n{template}"


def _literal(value: Any, key: str) -> str:
    """A value in Jinja syntax. Raises UserError if it is not plain data."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list | tuple):
        return f"[{', '.join(_literal(item, key) for item in value)}]"
    if isinstance(value, Mapping):
        inner = (f"{json.dumps(str(name))}: {_literal(item, key)}" for name, item in value.items())
        return f"{{{', '.join(inner)}}}"
    raise UserError(f"{key} is a {type(value).__name__}; it must be true, false, a number, text, or lists of these")
