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
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, get_args

import openai
from openai import AsyncOpenAI

from crescent.core.errors import UserError
from crescent.engines.server.refusals import Refused, reason_of

log = logging.getLogger(__name__)
FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0  # seconds between two attempts, doubling
MOST_FAULTS = 8  # failures of one request, after which the server is asked something else
MOST_MISSES = 4  # the same for 403 and 404; a server that has never answered is given up: its address may be wrong
CONFIRMED = 2  # times that another prompt is answered and this one is not: the prompt is the cause
_PASSING = (408, 409, 425, 429)  # statuses below 500 after which a retry may succeed
_BREAKDOWNS = (500, 502)
_MISSES = (403, 404, 451)  # some servers return these while a model reloads
_NO_KEY = 401  # of a server that has answered before: its key is being renewed


class Unusable(Exception):
    """An answer with status 200 that contains no completion; the message says what it contains."""


class SetAside(Exception):
    """A server cannot answer this prompt, although it answers others. `is_refused`: it will not (403, 404)."""

    def __init__(self, url: str, error: BaseException, is_refused: bool) -> None:
        super().__init__(reason(error))
        self.url, self.is_refused = url, is_refused


_Fault = openai.APIError | Unusable | json.JSONDecodeError | UnicodeDecodeError | RecursionError
_FAULTS = get_args(_Fault)


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

    async def ask(self, send: Send, place: Endpoint | None = None, other: Send | None = None) -> Any:
        """Returns the answer of `place`, or of the least busy server; retries while it is unreachable or has no room.

        Gives up only after `patience_seconds` in which no request at all was answered. `other` sends a prompt that has
        nothing to be refused for: if that is answered while this one keeps failing, SetAside is raised.
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
            except _FAULTS as error:
                misses += _is_miss(error)
                faults += _is_of_the_request(error)
                if other is not None and (misses >= MOST_MISSES or faults >= MOST_FAULTS):
                    with suppress(*_FAULTS):
                        return await self._told_apart(send, other, chosen)
                known = any(one is chosen for one in self.places)
                if isinstance(error, openai.APIStatusError) and not _passes(error, known, misses):
                    raise UserError(
                        f"{chosen.url} refuses: {reason(error)}. Check engine.urls, engine.model, and OPENAI_API_KEY "
                        "if the server needs a key."
                    ) from None
                asked_for = self._asked_for(error)
                chosen.rest_until = time.monotonic() + (asked_for or wait)
                self._give_up(error, chosen, begun)
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

    async def _told_apart(self, send: Send, other: Send, chosen: Endpoint) -> Any:
        """Returns the answer after all. Raises SetAside if only `other` is answered, a fault if that is not."""
        for attempt in range(1, CONFIRMED + 1):
            with suppress(Refused):  # that is an answer too
                await other(chosen)
            self._answered = time.monotonic()
            try:
                return await send(chosen)
            except _FAULTS as error:
                if not (_is_miss(error) or _is_of_the_request(error)):
                    raise
                if attempt == CONFIRMED:
                    raise SetAside(chosen.url, error, _is_miss(error)) from None
        raise AssertionError("the last attempt is answered or set aside")

    def _give_up(self, error: _Fault, chosen: Endpoint, begun: float) -> None:
        """Raises UserError if more waiting would not help."""
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
    if isinstance(error, openai.APIStatusError):
        status, words = f"status {error.status_code}", reason_of(error)
        return words if words == status else f"{status}: {words}"
    cause = error.__cause__ if isinstance(error, openai.APIConnectionError) and error.__cause__ else error
    text = str(cause).strip() or ("timed out" if isinstance(error, openai.APITimeoutError) else type(cause).__name__)
    return text.splitlines()[0][:200].rstrip(".")


def _passes(error: openai.APIStatusError, known: bool, misses: int) -> bool:
    """True if a retry may succeed. `known`: the server has answered before; `misses`: 403 and 404 answers so far."""
    status = error.status_code
    if status in _MISSES:
        return known or misses < MOST_MISSES
    return status >= 500 or status in _PASSING or (known and status == _NO_KEY)


def _is_miss(error: _Fault) -> bool:
    return isinstance(error, openai.APIStatusError) and error.status_code in _MISSES


def _is_of_the_request(error: _Fault) -> bool:
    """True if the server may be unable to answer this one request, now or ever: it has an internal error, closes the
    connection, or answers nothing. Requests that time out, or for which there is no room, may be answered later."""
    if isinstance(error, openai.APIStatusError):
        return error.status_code in _BREAKDOWNS
    return not isinstance(error, openai.APITimeoutError)


def _state(error: _Fault) -> str:
    if isinstance(error, openai.APIError):
        return "has no room for more" if isinstance(error, openai.RateLimitError) else "is not answering"
    return "gives unusable answers"
