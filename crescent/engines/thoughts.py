"""Models that think aloud before they answer, told by their chat template or by what they wrote.

In: a tokenizer with its chat template, or texts. Out: why a model is taken to think, or a ValueError of one line that
refuses it: Crescent has no place for a thought, which would be taken for the question, asked, voted on and trained.

What counts is what the template does when it is asked as Crescent asks, with no variable set. One that opens a thought,
or that a switch keeps from it (Qwen3), is of a thinking model; one that closes the thought at once (DeepSeek V3.1) or
has the switch off (Granite) is not, and neither is one that only takes thoughts out of earlier turns.
"""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from crescent.answers.thoughts import CLOSING, OPENING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_OPEN = re.compile(rf"{OPENING}|<\|channel\|>(?:analysis|thought)", re.IGNORECASE)
_CLOSE = re.compile(CLOSING, re.IGNORECASE)
_CLOSED = re.compile(rf"(?:{CLOSING})\s*\Z", re.IGNORECASE)
_HINT = re.compile(r"think|thought|reasoning|\|channel\|", re.IGNORECASE)
FEW = 1 / 20  # of texts: as many may hold a tag by chance, at a high temperature
_USER = [{"role": "user", "content": "How many?"}]
_THOUGHT = "count them one by one"
_TEMPLATE_MEND = (
    "Choose a model that answers at once; or, where its template has enable_thinking, give a copy of the model whose "
    "chat_template.jinja begins with {% set enable_thinking = false %}"
)
_TEXT_MEND = "Choose a model that answers at once, or switch its thinking off in its chat template or on its server"


def may_think(template: str) -> bool:
    """Whether a template is worth a look: most are not."""
    return _HINT.search(template) is not None


def check_template(name: str, tokenizer: "PreTrainedTokenizerBase") -> None:
    """Raises ValueError with a suggested fix if a model's chat template is that of a model which thinks."""
    why = why_thinking(tokenizer)
    if why is not None:
        raise refused(name, why, _TEMPLATE_MEND)


def check_texts(name: str, texts: Sequence[str]) -> None:
    """Raises ValueError with a suggested fix if more of a model's texts than by chance hold a thinking tag."""
    found = [tag for text in texts if (tag := tag_in(text)) is not None]
    if len(found) > FEW * len(texts):
        raise refused(name, f"{len(found)} of {len(texts)} texts that it wrote hold {found[0]}", _TEXT_MEND)


def check_field(name: str, message: Any) -> None:
    """Raises ValueError with a suggested fix if a server's message has a thought beside its text."""
    for field in ("reasoning_content", "reasoning"):
        if getattr(message, field, None):
            raise refused(name, f"the server's answers have {field}", _TEXT_MEND)


def tag_in(text: str) -> str | None:
    """The first thinking tag of a text."""
    found = _OPEN.search(text) or _CLOSE.search(text)
    return found[0] if found else None


def why_thinking(tokenizer: "PreTrainedTokenizerBase") -> str | None:
    """What in a chat template is of a model that thinks, or None."""
    from jinja2 import TemplateError

    template = tokenizer.chat_template
    if not isinstance(template, str) or not may_think(template):
        return None
    try:
        return _sign(tokenizer)
    except TemplateError:  # it refuses plain turns: who asks in them tells why
        return None


def refused(name: str, why: str, hint: str) -> ValueError:
    """The line that refuses a model."""
    return ValueError(
        f"model {name!r} thinks aloud before it answers ({why}), and its thoughts would be taken for questions and "
        f"answers. {hint}."
    )


def _sign(tokenizer: Any) -> str | None:
    prompt = _render(tokenizer, _USER, True)
    if _CLOSED.search(prompt):
        return None
    if found := _OPEN.search(prompt):
        return f"its chat template opens {found[0]}"
    off, on = (_render(tokenizer, _USER, True, enable_thinking=way, thinking=way) for way in (False, True))
    if on != off:
        return None if prompt == off else "its chat template has thinking switched on"
    answer = {"role": "assistant", "content": "Nine"}
    if found := _OPEN.search(_render(tokenizer, [*_USER, answer], False)):
        return f"its chat template puts {found[0]} before an answer"
    fields = dict.fromkeys(("reasoning_content", "reasoning", "thinking"), _THOUGHT)
    has_place = _THOUGHT in _render(tokenizer, [*_USER, {**answer, **fields}], False)
    return "its chat template has a place for thoughts" if has_place else None


def _render(tokenizer: Any, turns: Any, prompt: bool, **variables: bool) -> str:
    return str(tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=prompt, **variables))
