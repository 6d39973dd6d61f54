"""Arguments of chat templates: `model.chat_template_kwargs`, such as {"enable_thinking": False}.

In: a template and its arguments. Out: a template that has them as its defaults, so that whoever renders it (generation,
training masks, the harness, a saved student) gives them, and none can forget; or a ValueError that names a bad one.
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
    """Raises ValueError for a name that no template variable can have, and for a value that is not plain."""
    for name, value in arguments.items():
        key = f"model.chat_template_kwargs.{name}"
        if not name.isidentifier() or name in _RESERVED:
            raise UserError(
                f"{key} cannot be set: give variables of the model's chat template, such as enable_thinking"
            )
        if isinstance(value, str) and value.strip().lower() in ("true", "false", "null", "none"):
            raise UserError(f"{key} is the text {value!r}, which a template takes for true; write it without quotes")
        _literal(value, key)


def check_read(model: str, arguments: Mapping[str, Any], templates: Sequence[str]) -> None:
    """Raises ValueError where no template names an argument."""
    for name in arguments:
        if not any(re.search(rf"\b{name}\b", template) for template in templates):
            raise UserError(
                f"model.chat_template_kwargs.{name}: the chat template of {model} has no variable {name}. Correct its "
                "name, or leave it out."
            )


def with_arguments(template: Any, arguments: Mapping[str, Any]) -> Any:
    """The template (or each of several by name) with the arguments as its defaults. Without arguments: as it is."""
    if not arguments or template is None:
        return template
    if isinstance(template, Mapping):
        return {name: with_arguments(one, arguments) for name, one in template.items()}
    # The line break is trimmed, as after every block, and leaves the template's first line a line of its own.
    settings = "".join(
        f"{{% if {name} is not defined %}}{{% set {name} = {_literal(value, name)} %}}{{% endif %}}"
        for name, value in sorted(arguments.items())
    )
    return f"{settings}\n{template}"


def _literal(value: Any, key: str) -> str:
    """A value as Jinja writes it. Raises ValueError for what is no plain data."""
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
