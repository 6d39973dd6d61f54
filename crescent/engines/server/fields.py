"""Values of a server's answer, whatever types they have: counts, log-probabilities, finish reasons, choices.

In: parts of an answer of the OpenAI client, which checks no types. Out: values of the promised types; what makes no
sense counts as missing.
"""

import math
import re
from collections.abc import Sequence
from typing import Any

_MOST = 10**9  # tokens; no answer has more
_LONGEST_REASON = 40  # characters of a finish reason that are kept
# Other names: TGI names a stop by its cause; gateways pass on those of Anthropic (end_turn) and Gemini (MAX_TOKENS).
_STOPS = ("stop", "eos", "eos_token", "stop_sequence", "end_turn")
_LIMITS = ("length", "max_tokens", "max_length")


def count(value: Any) -> int | None:
    """A number of tokens, or an index."""
    if isinstance(value, str) and re.fullmatch(r"\d{1,9}", value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _MOST:
        return None
    return round(value)


def choices_of(answer: Any, most: int) -> list[Any]:
    """At most so many choices of an answer, in order. If there are more, those that are repeated are left out."""
    choices = sorted(answer.choices, key=lambda choice: count(choice.index) or 0)
    if len(choices) <= most:
        return choices
    kept = [choice for at, choice in enumerate(choices) if _content(choice) not in map(_content, choices[:at])]
    return kept[:most]


def _content(choice: Any) -> tuple[Any, Any]:
    return choice.index, getattr(choice, "message", None) or getattr(choice, "text", None)


def finish_of(choice: Any) -> str:
    """How a completion ended: "stop", "length", or the server's own word for something else."""
    if getattr(getattr(choice, "message", None), "refusal", None):
        return "refusal"
    reason = str(choice.finish_reason or "null")[:_LONGEST_REASON]
    known = {name: kind for kind, names in (("stop", _STOPS), ("length", _LIMITS)) for name in names}
    return known.get(reason.lower(), reason)


def logprobs_of(choice: Any) -> list[float]:
    """Nats of each new token; empty if the server reports none, or not for every token."""
    given: Any = getattr(choice, "logprobs", None)
    values = getattr(given, "token_logprobs", None)
    if values is None:
        content = getattr(given, "content", None)
        values = [getattr(token, "logprob", None) for token in _listed(content)]
    numbers = [_finite(value) for value in _listed(values)]
    return [] if None in numbers[1:] else [value for value in numbers if value is not None]


def _listed(values: Any) -> Sequence[Any]:
    return values if isinstance(values, list) else ()


def _finite(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
