"""Splits a server's message into thought and answer, whichever fields and parts contain them.

In: a message of the OpenAI client, or the content of one. Out: text. Servers return a thought in a separate field
(vLLM, SGLang, llama.cpp, DeepSeek, OpenRouter), or in parts of the content (Mistral):

    {"reasoning_content": "13?", "content": "12"}
    {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "13?"}]}, {"type": "text", "text": "12"}]}
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from openai import BaseModel

_THOUGHT_FIELDS = ("reasoning_content", "reasoning", "thinking")  # of a message, next to its content
_THOUGHT_TYPE = re.compile(r"think|thought|reason", re.IGNORECASE)  # of a part
_TEXT_FIELDS = ("text", "content")
_IN_THOUGHTS = (*_TEXT_FIELDS, *_THOUGHT_FIELDS, "summary")


def said(message: Any) -> tuple[str, str]:
    """(thought, answer) of a message; "" for a missing one."""
    if isinstance(message, str):
        return "", message
    pieces = list(_pieces(getattr(message, "content", None)))
    thought = next((text for field in _THOUGHT_FIELDS if (text := all_text(getattr(message, field, None)))), "")
    return thought or _joined(pieces, True), _joined(pieces, False)


def all_text(content: Any) -> str:
    """A text, or all text in a list of parts."""
    return "".join(text for _, text in _pieces(content))


def _joined(pieces: list[tuple[bool, str]], thoughts: bool) -> str:
    return "".join(text for is_thought, text in pieces if is_thought == thoughts)


def _pieces(content: Any, in_thought: bool = False) -> Iterator[tuple[bool, str]]:
    """Yields (True if thought, text) in order; skips parts without text (refusals, encrypted thoughts)."""
    if isinstance(content, str | int | float):
        yield in_thought, str(content)
    elif isinstance(content, list):
        for part in content:
            yield from _pieces(part, in_thought)
    elif isinstance(content, BaseModel):
        yield from _pieces(content.model_dump(), in_thought)
    elif isinstance(content, Mapping):
        is_thought = in_thought or _THOUGHT_TYPE.search(str(content.get("type"))) is not None
        fields = _IN_THOUGHTS if is_thought else _TEXT_FIELDS
        yield from _pieces(next((content[name] for name in fields if content.get(name)), None), is_thought)
