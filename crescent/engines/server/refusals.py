"""Why a server refused a request, read from its answer, and what can be done about it.

In: an OpenAI client error with a status that blames the request, and the fields that were sent. Out: a `Refusal`.
Servers word the same thing differently: see the samples below, and the tests.
"""

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import openai

STATUSES = (400, 413, 422)  # the request's own fault; other statuses concern the server or the caller
_TOO_LARGE = 413
_FORBIDDEN = (403, 451)  # OpenRouter: a prompt that moderation flagged
Kind = Literal["field", "rename", "context", "content", "unknown"]

# vLLM: This model's maximum context length is 2048 tokens. However, you requested 2100 tokens
# llama.cpp: the request exceeds the available context size
# LMDeploy: input token length exceeds session_len
# TGI: Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000 `inputs` tokens
# SGLang: The input (5000 tokens) is longer than the model's context length (4096 tokens).
_CONTEXT = re.compile(
    r"context (?:length|size|window)|maximum (?:model |input |sequence |prompt )*length|session_len|\bn_ctx\b"
    r"|max_model_len|max_seq_len|max_total_tokens|max_input_(?:tokens|length)|max_position_embeddings|\bctx_len\b"
    r"|reduce the length|string_above_max_length|`inputs`"
)
# Of the prompt unless a field is named: "stop strings are too long" and "at most 5 logprobs per token" are not.
# MLC: Request prompt has 5000 tokens in total, larger than the model input length limit 4096
_PROMPT = r"\b(?:inputs?|input_ids|prompt|tokens?|sequence|messages?|context|request|kv cache)\b"
_TOO_MUCH = (
    r"(?:exceed|too (?:long|large|big|many)|(?:larger|longer|greater|more) than|\bover the|must be <|must have less"
    r"|at most|(?:be|than) less|enough space|shorten|\d [<>] ?\d)"
)
_TOO_LONG = re.compile(rf"{_PROMPT}[^.]{{0,60}}{_TOO_MUCH}|{_TOO_MUCH}[^.]{{0,40}}{_PROMPT}|\btoo long\b|longer than")
_ROOM = re.compile(r"must be <= (\d+)\. given: (\d+) `inputs` tokens")
# Azure: The response was filtered due to the prompt triggering Azure OpenAI's content management policy
_CONTENT = re.compile(
    r"content[_ ](?:filter|management|exists risk)|\bpolic(?:y|ies)\b|moderation|flagged|safety|guardrail|inappropriate"
    r"|data_inspection|responsible ai|prohibited|harmful|sensitive (?:content|words?|topics?)|terms of (?:use|service)"
)
_PAGE = re.compile(r"<(?:!doctype|html|body|head)\b", re.IGNORECASE)
_MARKUP = re.compile(r"<(script|style)\b.*?</\1>|<[^>]*>", re.IGNORECASE | re.DOTALL)
LIMITS = ("max_tokens", "max_completion_tokens")
_NAMES = {
    "n": r"(?<![\w.'’\\-])n(?![\w'’-]| tokens| char)|['\"`]n['\"`]|best_of|num_(?:return_sequences|choices|samples)"
    r"|(?:one|single|multiple|several|number of|parallel) (?:completions?|choices?|generations?|samples?|candidates?)",
    "seed": r"seed",
    "top_k": r"top[_ -]?k\b",
    "top_p": r"top[_ -]?p\b|nucleus",
    "min_p": r"min[_ -]?p\b",
    "repetition_penalty": r"repetition[_ -]?penalty",
    "repeat_penalty": r"repeat[_ -]?penalty",
    "temperature": r"temperature",
    "logprobs": r"log_?prob",
    "stop": r"['\"`]stop['\"`]|\bstop (?:strings?|sequences?|words?)|\bstop_(?:strings?|sequences?)",
    "max_tokens": r"max_tokens|max_new_tokens",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """`field`: the field that the server does not accept; `room`: the number of new tokens it has room for, if it says
    so."""

    kind: Kind
    field: str = ""
    room: int | None = None


class Refused(Exception):
    """A refused request: by which server, and with which fields."""

    def __init__(self, url: str, sent: Mapping[str, Any], error: openai.APIStatusError) -> None:
        super().__init__(reason_of(error))
        self.url, self.sent, self.refusal = url, sent, explain(error, sent)

    def for_field(self, field: str) -> "Refused":
        """Marks the refusal as caused by one field."""
        self.refusal = Refusal("field", field)
        return self


class FieldRefused(ValueError):
    """A server refuses a field that results depend on; the run cannot do without it."""

    def __init__(self, url: str, field: str, value: Any, why: str) -> None:
        shown = f"{value:g}" if isinstance(value, int | float) else json.dumps(value)
        super().__init__(f"{url} refuses {field} {shown} ({why}). Choose another value, or another server.")
        self.field = field


def is_refusal(error: openai.APIStatusError) -> bool:
    """True if the request itself is to blame. Some servers answer a prompt that is too long with status 500, or one
    that they refuse for its content with 403."""
    if error.status_code == 500:
        return _is_context(_text(error))
    return error.status_code in STATUSES or (error.status_code in _FORBIDDEN and _is_content(_text(error)))


def explain(error: openai.APIStatusError, sent: Collection[str]) -> Refusal:
    """What the server does not accept."""
    text = _text(error)
    located = [name for name in _located(error.body) if name in sent]
    named = located or [name for name in sent if re.search(_NAMES.get(name, rf"\b{name}\b"), text)]
    others = [name for name in named if name not in LIMITS]
    if _CONTEXT.search(text) and not (located and others):
        return _too_long(text)
    if _is_content(text):
        return Refusal("content")
    if "max_completion_tokens" in text and "max_tokens" in sent:
        return Refusal("rename", "max_tokens")
    if others:
        return Refusal("field", others[0])
    if _TOO_LONG.search(text) and not named:
        return _too_long(text)
    if named:
        return Refusal("field", named[0])
    return Refusal("context" if error.status_code == _TOO_LARGE else "unknown")


def reason_of(error: openai.APIStatusError) -> str:
    """The server's reason in one line, without the client library's wording around it."""
    found = next((text for text in _messages(error.body) if text.strip()), "")
    words = " ".join((_MARKUP.sub(" ", found) if _PAGE.search(found) else found).split())[:200].rstrip(".")
    return words or f"status {error.status_code}"


def _too_long(text: str) -> Refusal:
    found = _ROOM.search(text)
    return Refusal("context", room=int(found[1]) - int(found[2]) if found else None)


def _is_context(text: str) -> bool:
    return any(pattern.search(text) for pattern in (_CONTEXT, _TOO_LONG))


def _is_content(text: str) -> bool:
    return _CONTENT.search(text) is not None


def _text(error: openai.APIStatusError) -> str:
    """Everything that may contain the reason, in lower case: messages, codes and types, but no copy of the request."""
    return " ".join([*_messages(error.body), *_located(error.body)]).lower() or str(error).lower()


def _messages(body: Any) -> Iterator[str]:
    """{"error": "text"}, {"message": ..., "code": ..., "param": ...}, {"detail": [{"loc": [...], "msg": ...}]}, ..."""
    if isinstance(body, str):
        yield body
        with_fields = body.strip().startswith("{")
        if with_fields:
            try:
                yield from _messages(json.loads(body))
            except ValueError:
                return
    elif isinstance(body, list):
        for one in body:
            yield from _messages(one)
    elif isinstance(body, Mapping):
        for key in ("message", "msg", "error", "detail", "errors", "code", "type", "innererror"):
            if body.get(key) and not isinstance(body[key], int):
                yield from _messages(body[key])


def _located(body: Any) -> list[str]:
    """The fields that a structured answer points at: `param`, or the end of `loc`."""
    if isinstance(body, list):
        return [name for one in body for name in _located(one)]
    if not isinstance(body, Mapping):
        return []
    loc = body.get("loc")
    here = [str(loc[-1])] if isinstance(loc, list) and loc else []
    here += [str(body["param"])] if body.get("param") else []
    return here + [name for key in ("detail", "error", "errors") for name in _located(body.get(key))]
