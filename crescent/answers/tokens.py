"""Splits a committed span into tokens: numerals with values, times, dates, words, LaTeX commands, single characters.

In: text in plain notation (`plain`). The value of a numeral is decided here, from the separators of its notation:

    1,234 · 1'234 · 1_234 · 1 234 · 1.234.567 · 1,50,000 (groups) · 1.234,5 · 12,50 · 0,125 (decimal commas)
    .5 · 1e-5 · 0.(3) and 0.333... (repeating) · 25k · 6:20 and 3:2 (kept as they are) · 2024-03-15 (a date: no value)
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from crescent.answers.values import LONGEST_PART, canonical, written

Kind = Literal["number", "clock", "date", "word", "command", "sign"]

_GROUPED = (
    r"[1-9]\d{0,2}(?:,\d{3})+(?!\d)|[1-9]\d{0,2}(?:'\d{3})+(?!\d)|[1-9]\d{0,2}(?:_\d{3})+(?!\d)"
    r"|[1-9]\d{0,2}(?: \d{3})+(?![\d-])|[1-9]\d?(?:,\d\d){1,4},\d{3}(?!\d)"
)
_TOKEN = re.compile(
    r"(?P<date>\d{4}-\d{1,2}-\d{1,2}(?!\d)|\d{1,2}/\d{1,2}/\d{2,4}(?![\d/])|\d{1,2}\.\d{1,2}\.\d{4}(?!\d))"
    r"|(?P<clock>\d{1,6}(?::\d{1,6}){1,2}(?![\d:])|\d{1,6} : \d{1,6}(?![\d:])|\d{1,2}h\d\d(?!\w))"
    r"|(?P<comma>[1-9]\d{0,2}(?:[. ]\d{3})+,\d\d?(?![\d,])"
    r"|(?<![(\[{,])(?:0,\d+|\d+,\d\d?|\d{4,40},\d+)(?!\d|,\d|\.\d|[)\]}]))"
    r"|(?P<points>[1-9]\d{0,2}(?:\.\d{3}){2,}(?![.\d]))"
    r"|(?P<repeating>\d{0,20}\.\d{0,20}\(\d{1,20}\))"
    r"|(?P<dotted>\d{0,20}\.\d{2,40}(?=\.\.|…))"
    rf"|(?P<number>(?:(?P<integer>{_GROUPED}|\d+)(?:\.(?P<decimals>\d+))?|(?<![A-Za-z])\.(?P<bare>\d+))"
    r"(?:[eE](?P<e>[+-]?\d+)(?!\w))?(?P<k>[kK](?!\w))?)"
    r"|(?P<times>(?<=\d)[xX](?=\d))"
    r"|(?P<word>[A-Za-zÀ-ɏ][A-Za-z0-9À-ɏ]*(?:['’][A-Za-zÀ-ɏ]+)*(?:_(?:\{[^{}\s]{0,20}\}|\w{1,20}))?|[^\W\d_a-zA-ZÀ-ɏ]+)"
    r"|(?P<command>\\[A-Za-z]+(?:_(?:\{[^{}\s]{0,20}\}|\w))?)"
    r"|(?P<sign><<[^<>\n]{0,200}>>|\.\.\.|\*\*|__|[^\s`])"
)
_NO_GROUPS = str.maketrans("", "", ",' _")
_SKIPPED = {"**", "__"}  # bold; also skipped: GSM8K's calculator annotations, "<<16-3=13>>13 eggs"


@dataclass(slots=True)
class Token:
    """`text` is in lower case for words; `value` is the canonical numeral, or None."""

    kind: Kind
    text: str
    start: int
    end: int
    value: str | None = None
    raw: str = ""


def tokens(text: str, start: int, end: int) -> list[Token]:
    return list(_tokens(text, start, end))


def _tokens(text: str, start: int, end: int) -> Iterator[Token]:
    for found in _TOKEN.finditer(text, start, end):
        kind = found.lastgroup
        raw = found[0]
        if kind == "word":
            yield Token("word", raw.lower().replace("’", "'"), found.start(), found.end(), None, raw)
        elif kind == "sign":
            if raw not in _SKIPPED and not raw.startswith("<<"):
                yield Token("sign", raw, found.start(), found.end())
        elif kind == "times":
            yield Token("sign", "x", found.start(), found.end())
        elif kind == "command":
            yield Token("command", raw, found.start(), found.end())
        elif kind == "clock":
            yield Token("clock", raw, found.start(), found.end(), _clock(raw))
        elif kind == "date":
            yield Token("date", raw, found.start(), found.end())
        else:
            yield Token("number", raw, found.start(), found.end(), _value(found))


def _value(found: re.Match[str]) -> str | None:
    raw = found[0]
    if found["comma"]:
        integer, _, decimals = raw.translate(_SPACES_AND_POINTS).partition(",")
        return written(integer + decimals, -len(decimals))
    if found["points"]:
        return written(raw.replace(".", ""))
    if found["repeating"]:
        head, _, period = raw[:-1].partition("(")
        return _repeating(head, period)
    if found["dotted"]:
        return _continued(raw)
    integer, decimals, exponent = found["integer"] or "", found["decimals"] or found["bare"] or "", found["e"] or "0"
    if len(exponent) > 9:
        return None
    digits = integer if integer.isdigit() else integer.translate(_NO_GROUPS)
    return written(digits + decimals, int(exponent) - len(decimals) + (3 if found["k"] else 0))


_SPACES_AND_POINTS = str.maketrans("", "", " .")


def _repeating(head: str, period: str) -> str | None:
    """0.1(6): the digits before the period over a power of ten, plus the period over nines."""
    integer, _, decimals = head.partition(".")
    scale = 10 ** len(decimals)
    return canonical(
        Fraction(int(integer + decimals or "0"), scale) + Fraction(int(period), scale * (10 ** len(period) - 1))
    )


def _continued(raw: str) -> str | None:
    """0.333... repeats; 3.14159... is truncated and has the value written."""
    integer, _, decimals = raw.partition(".")
    for length in range(1, len(decimals) // 2 + 1):
        period = decimals[-length:]
        if period == decimals[-2 * length : -length] and period.strip("0"):
            while decimals.endswith(period * 2):
                decimals = decimals[:-length]
            return _repeating(f"{integer}.{decimals[:-length]}", period)
    return written(integer + decimals, -len(decimals))


def _clock(text: str) -> str | None:
    """3:30, 03:30 and 3:30:00 are equal; 8:00 is 8, like 8 o'clock."""
    parts = text.replace(" ", "").replace("h", ":").split(":")
    while len(parts) > 1 and parts[-1] == "00":
        parts.pop()
    return ":".join([parts[0].lstrip("0") or "0", *parts[1:]])


assert LONGEST_PART >= 20  # the parts of a repeating decimal fit
