"""Retries for servers: which server is asked next, how long one may be unreachable, and when to give up.

In: a request as a coroutine function of an `Endpoint`. Out: its answer, or a UserError. Prompts and completions are
handled in `engine.py`.
"""

import asyncio
import email.utils
import json
import logging
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import openai
from openai import AsyncOpenAI

from crescent.core.errors import UserError
from crescent.engines.server.refusals import Refused

log = logging.getLogger(__name__)
FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0  # seconds between two attempts, doubling
MOST_FAULTS = 8  # internal errors on one request while others are answered: the request is the cause
MOST_MISSES = 4  # 403 or 404 answers of a server that has not answered anything yet: its address may be wrong
_PASSING = (408, 409, 429)  # statuses below 500 after which a retry may succeed
_MISSES = (403, 404)  # some servers return these while a model reloads


class Unusable(Exception):
    """An answer with status 200 that contains no completion; the message says what it contains."""


_Fault = openai.APIError | Unusable | json.JSONDecodeError


@dataclass(frozen=True, slots=True)
class Limits:
    """How the servers are used; does not change results."""

    in_flight: int = 256
    samples_per_request: int = 16
    patience_seconds: float = 600.0
    timeout_seconds: float = 600.0


@dataclass(slots=True)
class Endpoint:
    """One server, its number of in-flight requests, and its settings for plain sampling (see `capabilities.py`)."""

    url: str
    client: AsyncOpenAI
    plain: dict[str, Any] = field(default_factory=dict)
    busy: int = 0
    rest_until: float = 0.0


Send = Callable[[Endpoint], Awaitable[Any]]


class Endpoints:
    """Servers that share the work; more join as their probes succeed. `told` contains the warnings already logged, so
    that each is logged once."""

    def __init__(self, limits: Limits, told: set[str]) -> None:
        self.places: list[Endpoint] = []
        self._limits, self._told = limits, told
        self._answered = time.monotonic()

    async def ask(self, send: Send, place: Endpoint | None = None) -> Any:
        """Returns the answer of `place`, or of the least busy server; retries while it is unreachable or has no room.

        Gives up only after `patience_seconds` in which no request at all was answered.
        """
        begun, wait, faults, misses = time.monotonic(), FIRST_WAIT, 0, 0
        while True:
            chosen = place or min(self.places, key=lambda one: (one.rest_until > time.monotonic(), one.busy))
            chosen.busy += 1
            try:
                answer = await send(chosen)
                self._answered = time.monotonic()
                return answer
            except Refused:
                self._answered = time.monotonic()
                raise  # the request's own fault: the sender knows which fields can be dropped
            except (openai.APIError, Unusable, json.JSONDecodeError) as error:
                misses += _is_miss(error)
                known = any(one is chosen for one in self.places)
                if isinstance(error, openai.APIStatusError) and not _passes(error, known or misses < MOST_MISSES):
                    raise UserError(
                        f"{chosen.url} refuses: {reason(error)}. Check engine.urls, engine.model, and OPENAI_API_KEY "
                        "if the server needs a key."
                    ) from None
                asked_for = self._asked_for(error)
                chosen.rest_until = time.monotonic() + (asked_for or wait)
                faults += place is None and _is_of_the_request(error)
                self._give_up(error, chosen, begun, faults)
                self.tell(chosen.url, f"{chosen.url} {_state(error)} ({reason(error)}); retrying until it does")
            finally:
                chosen.busy -= 1
            alone = place is not None or len(self.places) == 1
            await asyncio.sleep((asked_for if alone else None) or wait * random.uniform(0.5, 1.0))
            wait = min(LONGEST_WAIT, 2 * wait)

    def tell(self, what: str, message: str) -> None:
        """Logs a warning once for each `what`."""
        if what not in self._told:
            self._told.add(what)
            log.warning("%s", message)

    def _give_up(self, error: _Fault, chosen: Endpoint, begun: float, faults: int) -> None:
        """Raises UserError if more waiting would not help."""
        if faults >= MOST_FAULTS and self._answered > begun:
            raise UserError(
                f"{chosen.url} keeps failing on one request ({reason(error)}) but answers others. Its "
                "own log says why; finished work is kept."
            )
        if time.monotonic() - max(begun, self._answered) <= self._limits.patience_seconds:
            return
        hint = "Restart it, or set another engine.urls"
        if isinstance(error, openai.APITimeoutError):
            hint = "Raise engine.timeout_seconds, or lower engine.in_flight"
        raise UserError(
            f"{chosen.url} has not answered for {self._limits.patience_seconds:.0f} s ({reason(error)}). {hint}; "
            "the same command then resumes."
        ) from None

    def _asked_for(self, error: _Fault) -> float | None:
        """Seconds requested by the server (Retry-After: 7, or a date), at most our patience."""
        if not isinstance(error, openai.APIStatusError):
            return None
        value = error.response.headers.get("retry-after")
        if not value:
            return None
        try:
            seconds = float(value)
        except ValueError:
            date = email.utils.parsedate_tz(value)
            seconds = email.utils.mktime_tz(date) - time.time() if date else 0.0
        return min(seconds, self._limits.patience_seconds) if seconds > 0 else None


def reason(error: BaseException) -> str:
    """The error in one line, without the client library's wording around it."""
    cause = error.__cause__ if isinstance(error, openai.APIConnectionError) and error.__cause__ else error
    text = str(cause).strip() or ("timed out" if isinstance(error, openai.APITimeoutError) else type(cause).__name__)
    return text.splitlines()[0][:200].rstrip(".")


def _passes(error: openai.APIStatusError, may_miss: bool) -> bool:
    return error.status_code >= 500 or error.status_code in _PASSING or (may_miss and _is_miss(error))


def _is_miss(error: _Fault) -> bool:
    return isinstance(error, openai.APIStatusError) and error.status_code in _MISSES


def _is_of_the_request(error: _Fault) -> bool:
    """True if the server may be unable to answer this one request, now or ever."""
    return not isinstance(error, openai.APIError) or getattr(error, "status_code", None) == 500


def _state(error: _Fault) -> str:
    if isinstance(error, openai.APIError):
        return "has no room for more" if isinstance(error, openai.RateLimitError) else "is not answering"
    return "gives unusable answers"
