"""Numerals: where a text holds one, what it is worth, how it is written canonically. All of it exact.

In: text that `plain` has been through. Out: canonical strings: "25000", "-3", "0.5", "1/3" (no finite decimal form),
"3:30" (a time or a ratio), "1.5e90" (too long to write out). A number of any length costs time linear in it.
"""

import re
from collections.abc import Iterator
from fractions import Fraction

from crescent.answers.plain import plain

# 1,000 · 1'000 · 1_000 · 10 000 (a group that begins with 0 is no number of its own) · 1,00,000
_INTEGER = r"[1-9]\d{0,2}(?:[,'_]\d{3})+(?!\d)|[1-9]\d{0,2}(?: 0\d\d)+(?!\d)|[1-9]\d?(?:,\d\d){1,4},\d{3}(?!\d)|\d+"
_POWERS = {"hundred": 2, "thousand": 3, "k": 3, "lakh": 5, "million": 6, "m": 6, "mn": 6, "crore": 7}
_POWERS |= {"billion": 9, "b": 9, "bn": 9, "trillion": 12}

# $1,234.50 · .5 · 1.234,56 · 2 1/2 · 3/4 · 1e-5 · 3 × 10^8 · 2.5 million · $3M · 25k · 3:30
_NUMERAL = re.compile(
    r"(?P<currency>[$€£¥₹](?:#{2,} ?)?\s?-?\s?)?"
    r"(?:(?<![A-Za-z^\d\\])(?<![A-Za-z\d]_)|(?<=\bRs)|(?<=\bRM)|(?<=USD)|(?<=EUR))(?<!\d\.)"
    r"(?:(?P<clock>\d{1,6}(?::\d{1,6}){1,2}|\d{1,6} : \d{1,6})(?![\d:])"
    r"|(?P<european>[1-9]\d{0,2}(?:\.\d{3})+,\d\d?)(?![\d,.]\d|\d)"
    rf"|(?:(?P<integer>{_INTEGER})(?:\.(?P<decimals>\d+))?|(?<![\w.])\.(?P<bare>\d+))"
    r"(?:[eE](?P<e>[+-]?\d+)(?!\w)|\s?(?:[x*×])\s?10\s?\^\s?(?P<ten>[+-]?\d+))?"
    r"(?:(?:[ -]| and | & )(?P<top>\d{1,40})/(?P<bottom>\d{1,40})(?![\d/])"
    rf"|\s?/\s?(?P<over>(?:{_INTEGER})(?:\.\d+)?)(?![\d/]))?"
    r"(?P<scale>(?:[ -]?(?:hundred|thousand|million|billion|trillion|lakh|crore)s?(?![-\w])){1,3}"
    r"|[kK](?![\w])|\s?(?:[MB]|bn|mn)(?!\w))?)",
    re.IGNORECASE,
)
_NO_GROUPS = str.maketrans("", "", ",' _")
_MINUS_BEFORE = re.compile(r"(?P<mark>-[\s$€£¥₹(]*|\b(?:negative|minus)\s+[$€£]?)$", re.IGNORECASE)
_LONGEST_WRITTEN_OUT = 40  # digits; beyond it the canonical form is scientific
_LONGEST_PART = 40  # digits of a numerator or denominator


class Numeral:
    """One numeral in a text: `start` and `end` are where it stands, without its sign."""

    __slots__ = ("_found", "end", "start")

    def __init__(self, found: re.Match[str]) -> None:
        self._found = found
        self.start, self.end = found.span()

    def canonical(self) -> str | None:
        """Its value as a canonical string; None where it has none (a denominator of zero, an endless exponent)."""
        found = self._found
        if found["clock"]:
            return _clock(found["clock"])
        value = _unsigned(found)
        return f"-{value}" if value not in (None, "0") and _is_negative(found) else value


def numerals(text: str, start: int = 0, end: int | None = None) -> Iterator[Numeral]:
    """The numerals of `text[start:end]`, in order; what stands around that part decides signs."""
    return map(Numeral, _NUMERAL.finditer(text, start, len(text) if end is None else end))


def whole_number(text: str) -> str | None:
    """The canonical form of a text that is a numeral and nothing else but currency and percent; None otherwise."""
    text = plain(text).strip().removesuffix("%").rstrip()
    first = next(numerals(text), None)
    if first is None or first.end != len(text) or text[: first.start].strip(" -$€£¥₹"):
        return None
    return first.canonical()


def _clock(text: str) -> str:
    """3:30, 03:30 and 3:30:00 are one; 8:00 is 8, as 8 o'clock is."""
    parts = text.replace(" ", "").split(":")
    while len(parts) > 1 and parts[-1] == "00":
        parts.pop()
    return ":".join([parts[0].lstrip("0") or "0", *parts[1:]])


def _unsigned(found: re.Match[str]) -> str | None:
    """A value from the groups of `_NUMERAL`: digits x 10^power, plus or over a fraction."""
    if found["european"]:
        integer, _, decimals = found["european"].replace(".", "").partition(",")
    else:
        integer, decimals = _digits(found["integer"] or ""), found["decimals"] or found["bare"] or ""
    exponent = found["e"] or found["ten"] or "0"
    if len(exponent) > 9:
        return None
    power = int(exponent) + _scale(found)
    if found["over"]:
        return _ratio(integer + decimals, power - len(decimals), _digits(found["over"]))
    if found["bottom"]:
        return _mixed(integer + decimals, power - len(decimals), found["top"], found["bottom"])
    return _written(integer + decimals, power - len(decimals))


def _digits(grouped: str) -> str:
    return grouped if grouped.isdigit() else grouped.translate(_NO_GROUPS)


def _scale(found: re.Match[str]) -> int:
    words = (found["scale"] or "").strip().lower()
    if not words or (len(words) <= 2 and words != "k" and not found["currency"]):
        return 0  # "5 m" is five metres, "$5 m" five million
    return sum(_POWERS[word.rstrip("s")] for word in re.split(r"[ -]+", words) if word)


def _written(digits: str, power: int) -> str:
    """digits x 10^power, as a plain decimal where that is short enough."""
    bare = digits.lstrip("0")
    significant = bare.rstrip("0")
    if not significant:
        return "0"
    power += len(bare) - len(significant)
    point = len(significant) + power  # where the decimal point stands, counted from the first digit
    if max(point, -power, len(significant)) > _LONGEST_WRITTEN_OUT:
        tail = f".{significant[1:]}" if len(significant) > 1 else ""
        return f"{significant[0]}{tail}e{point - 1}"
    if power >= 0:
        return significant + "0" * power
    return f"{significant[:point]}.{significant[point:]}" if point > 0 else f"0.{'0' * -point}{significant}"


def _ratio(top: str, power: int, bottom: str) -> str | None:
    whole, _, decimals = bottom.partition(".")
    if max(len(top), len(bottom), abs(power)) > _LONGEST_PART or not (whole + decimals).strip("0"):
        return None
    return _exact(Fraction(int(top)) * Fraction(10) ** (power + len(decimals)) / int(whole + decimals))


def _mixed(whole: str, power: int, top: str, bottom: str) -> str | None:
    """2 1/2; two numerals that only stand side by side ("3 5/2") are worth the fraction."""
    if not bottom.strip("0") or len(whole) > _LONGEST_PART or abs(power) > _LONGEST_PART:
        return None
    part = Fraction(int(top), int(bottom))
    if part < 1:
        part += int(whole)
    return _exact(part * Fraction(10) ** power)


def _exact(value: Fraction) -> str | None:
    """A decimal where the value has a finite one of up to `_LONGEST_PART` digits, else numerator/denominator."""
    rest, places = value.denominator, 0
    while rest % 10 == 0:
        rest, places = rest // 10, places + 1
    for prime in (2, 5):
        while rest % prime == 0:
            rest, places = rest // prime, places + 1
    if rest == 1 and places <= _LONGEST_PART:
        return _written(str(value.numerator * 10**places // value.denominator), -places)
    top, bottom = str(value.numerator), str(value.denominator)
    return None if max(len(top), len(bottom)) > _LONGEST_PART else f"{top}/{bottom}"


def _is_negative(found: re.Match[str]) -> bool:
    """Whether the dash before a numeral is its sign. It is not in 16 - 3, in 3-5, in "eggs - 3", in a bullet "- 3"."""
    text, start = found.string, found.start()
    if found["currency"] and "-" in found["currency"]:
        return True
    before = _MINUS_BEFORE.search(text, max(0, start - 16), start)
    if not before:
        return False
    left = text[max(0, before.start() - 16) : before.start()]
    body = left.rstrip(" *_$€£({")
    touches = not before["mark"].endswith((" ", "\n", "\t"))
    if before["mark"][0] != "-":
        return not body[-1:].isdigit()
    if not body or body[-1] == "\n":
        return touches
    if body[-1].isalpha():
        return touches and left[-1:] != body[-1]
    return body[-1] in "=:#,;<>|[~≈" or (touches and body[-1] in ".!?\"'`")
