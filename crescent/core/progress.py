"""Progress of work whose size is known, and signs of life of work whose size is not.

In: counts from stages, and the tokens that engines report to `TOKENS`. Out: text for a bar or a line. It prints nothing
itself; `crescent.core.console` does.
"""

import time
from collections.abc import Callable

MIN_UNITS = 20
MIN_SHARE = 0.02
"""The time left is shown once this many units, or this share of all, are done: the first of a batch say little about
the rest."""


class TokenMeter:
    """Tokens generated so far, by this process or for it by servers and workers. Engines add to it while they decode,
    so that progress can be shown before the first completion is finished."""

    def __init__(self) -> None:
        self.total = 0

    def add(self, tokens: int) -> None:
        """Counts `tokens` more."""
        self.total += tokens


TOKENS = TokenMeter()


class Waiting:
    """Work of unknown size, such as loading a model."""

    def __init__(self, what: str) -> None:
        self._what, self._start = what, time.monotonic()

    def text(self) -> str:
        """One line for people."""
        return f"{self._what}: {clock(time.monotonic() - self._start)} so far"


class Tally:
    """Counts work of known size.

    `token_limit` above 0: the work generates completions of at most this many new tokens. The rate is then in tokens,
    and the time left follows from the tokens still to be generated: a batch's completions finish late and together, so
    their own rate is misleading. `on_change` is called after each change.
    """

    def __init__(self, what: str, total: int, unit: str, token_limit: int = 0) -> None:
        self.done, self.total, self.note = 0, total, ""
        self.completions_left: Callable[[], int | None] = lambda: self.total - self.done
        """Number of completions still to be generated, or None if unknown; to be set if units are not completions."""
        self.completed, self.is_settled = 0, False
        self._what, self._unit, self._token_limit = what, unit, token_limit
        self._first_token = self._start = time.monotonic()
        self._tokens_before = TOKENS.total
        self._generates = False
        self.on_change: Callable[[], None] = lambda: None

    def advance(self, count: int = 1, note: str | None = None) -> None:
        """Counts `count` more finished units. `note` replaces the text at the end; None keeps it."""
        self.done += count
        self.note = self.note if note is None else note
        self.on_change()

    def complete(self) -> None:
        """Counts a completion that this run generated."""
        self.completed += 1

    def settle(self, note: str) -> None:
        """Ends the work before its total: the number done becomes the total."""
        self.total, self.note, self.is_settled = self.done, note, True
        self.on_change()

    @property
    def tokens(self) -> int:
        """Tokens generated since the start."""
        return TOKENS.total - self._tokens_before if self._token_limit else 0

    def look(self) -> None:
        """Notices the first tokens. To be called regularly, so that the rate excludes the loading of the model."""
        if not self._generates:
            if self.tokens:
                self._generates = True
            else:
                self._first_token = time.monotonic()

    def rate(self) -> str:
        """Tokens per second since the first one, or units per second; empty before there is one."""
        self.look()
        seconds = max(1e-3, time.monotonic() - self._first_token)
        if self.tokens:
            return f"{self.tokens / seconds:,.0f} tokens/s"
        return f"{self.done / self._elapsed:,.1f}/s" if self._is_telling and not self._token_limit else ""

    def left(self) -> str:
        """Time left, such as 2:31; empty where too little is done to tell."""
        seconds = self._seconds_left()
        return "" if seconds is None else f"{clock(seconds)} left"

    def text(self) -> str:
        """One line for people."""
        if self.is_settled:
            return f"{self._what}: {self.done:,} {self._unit}; {self.note}"
        counts = f"{self._what}: {self.done:,}/{self.total:,} {self._unit}"
        return ", ".join(part for part in (counts, self.rate(), self.left() or self.so_far(), self.note) if part)

    def so_far(self) -> str:
        """Time since the start."""
        return f"{clock(self._elapsed)} so far"

    @property
    def _elapsed(self) -> float:
        return max(1e-3, time.monotonic() - self._start)

    @property
    def _is_telling(self) -> bool:
        return self.done >= max(1, min(MIN_UNITS, MIN_SHARE * self.total))

    def _seconds_left(self) -> float | None:
        if not self._token_limit:
            return max(0, self.total - self.done) * self._elapsed / self.done if self._is_telling else None
        remaining = self.completions_left()
        if remaining is None or not self.tokens:
            return None
        if self.completed < max(1, min(MIN_UNITS, MIN_SHARE * (self.completed + remaining))):
            return None
        length = min(self.tokens / self.completed, self._token_limit)  # counts tokens of unfinished completions too
        to_come = max(0.0, length * (self.completed + remaining) - self.tokens)
        return to_come * max(1e-3, time.monotonic() - self._first_token) / self.tokens


def clock(seconds: float) -> str:
    """Minutes and seconds: 2:31."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"
