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
Kind = Literal["field", "rename", "context", "content", "unknown"]

# vLLM: This model's maximum context length is 2048 tokens. However, you requested 2100 tokens
# llama.cpp: the request exceeds the available context size
# LMDeploy: input token length exceeds session_len
# TGI: Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000 `inputs` tokens
# SGLang: The input (5000 tokens) is longer than the model's context length (4096 tokens).
_CONTEXT = re.compile(
    r"context (?:length|size|window)|maximum (?:model |input |sequence |prompt )*length|session_len|\bn_ctx\b"
    r"|max_model_len|max_seq_len|max_total_tokens|max_input_(?:tokens|length)|reduce the length"
    r"|too (?:long|many (?:input |prompt )*tokens)|longer than|string_above_max_length"
    r"|\b(?:inputs?|prompt|tokens?|sequence|messages?)\b[^.]{0,40}(?:exceed|must be (?:<|less)|must have less)"
    r"|exceed[^.]{0,40}\b(?:tokens?|context|length)\b"
)
_ROOM = re.compile(r"must be <= (\d+)\. given: (\d+) `inputs` tokens")
# Azure: The response was filtered due to the prompt triggering Azure OpenAI's content management policy
_CONTENT = re.compile(
    r"content[_ ](?:filter|policy|management)|moderation|flagged|safety|guardrail|usage polic|inappropriate"
    r"|data_inspection|responsible ai|prohibited|harmful"
)
LIMITS = ("max_tokens", "max_completion_tokens")
_NAMES = {
    "n": r"['\"`]n['\"`]|(?<![\w.'’-])n (?:must|should|is|has|to|greater|larger|other|=|>|<|!)|\bn ?[=>] ?1\b|best_of"
    r"|(?:one|multiple|several|number of|parallel) (?:completions?|choices?|generations?|samples?)",
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
    """True if the request itself is to blame. Some servers answer a prompt that is too long with status 500."""
    return error.status_code in STATUSES or (error.status_code == 500 and _is_context(_text(error)))


def explain(error: openai.APIStatusError, sent: Collection[str]) -> Refusal:
    """What the server does not accept."""
    text = _text(error)
    if _is_context(text):
        found = _ROOM.search(text)
        return Refusal("context", room=int(found[1]) - int(found[2]) if found else None)
    if _CONTENT.search(text):
        return Refusal("content")
    if "max_completion_tokens" in text and "max_tokens" in sent:
        return Refusal("rename", "max_tokens")
    named = [name for name in _located(error.body) if name in sent]
    found = named or [name for name in sent if re.search(_NAMES.get(name, rf"\b{name}\b"), text)]
    return Refusal("field", found[0]) if found else Refusal("unknown")


def reason_of(error: openai.APIStatusError) -> str:
    """The server's reason in one line, without the client library's wording around it."""
    found = next((text for text in _messages(error.body) if text.strip()), str(error))
    return " ".join(found.split())[:200].rstrip(".")


def _is_context(text: str) -> bool:
    return _CONTEXT.search(text) is not None


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
