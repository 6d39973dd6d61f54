"""Answers that are mathematical expressions, as text: the content of \\boxed{} or what follows another mark.

In: a response. Out: its expression in normalised spelling (no dollar signs, \\left or spacing), or a numeral. Two
spellings of one value (\\sqrt{8}, 2\\sqrt{2}) stay different: see `symbolic`.
"""

import re

from crescent.answers.corrections import standing
from crescent.answers.numerals import whole_number
from crescent.answers.plain import plain
from crescent.answers.thoughts import without_thoughts

_LONGEST = 400
# Signs that cannot be dropped without changing the meaning: -x, |x|, n!, (0,1], x<3, \\sqrt{2}
_SIGNS = re.compile(r"[\\^_|!<>=+±√π∞'\[\]{}]|^-|(?<=[\w)])\s?[-+*/]\s?(?=[(\w])|^\([^()]*,[^()]*\)$|^[A-Za-z]$")
_COUNTED = re.compile(
    r"([$€£¥₹]?\s?-?\d[\d,.]*%?)\s+((?:per |each |of )?[a-z]{3,20}(?: (?:per|each|of|in|a) [a-z ]{2,30}|s)?)"
)
_MEASURES = frozenset(
    [
        "mm",
        "cm",
        "km",
        "meters",
        "meter",
        "metres",
        "metre",
        "inches",
        "inch",
        "feet",
        "foot",
        "yards",
        "yard",
        "miles",
        "mile",
        "grams",
        "gram",
        "kilograms",
        "kilogram",
        "pounds",
        "pound",
        "ounces",
        "ounce",
        "liters",
        "liter",
        "litres",
        "litre",
        "gallons",
        "gallon",
        "seconds",
        "second",
        "minutes",
        "minute",
        "hours",
        "hour",
        "days",
        "day",
        "weeks",
        "week",
        "months",
        "month",
        "years",
        "year",
        "degrees",
        "degree",
        "radians",
    ]
)
_MATH = re.compile(r"\$\$(.{1,400}?)\$\$|\$([^$\n]{1,400})\$|\\\((.{1,400}?)\\\)|\\\[(.{1,400}?)\\\]", re.DOTALL)
_SPACING = re.compile(r"\\(?:[,;:! ]|quad|qquad|left(?![a-z])|right(?![a-z])|displaystyle)")
_DELIMITERS = re.compile(r"\$+|\\[()\[\]]")
_SPACE = re.compile(r"\s+")
_LOOSE_SPACE = re.compile(r"(?<![A-Za-z0-9]) | (?![A-Za-z0-9])")  # a space that does not separate two words or numbers


def extract_expression(text: str) -> str | None:
    """Returns the expression `text` commits to, or None. Never raises."""
    text = without_thoughts(text)
    for _ in range(16):  # until nothing changes, so that a canonical form maps to itself
        answer = _once(text)
        if answer is None or answer == text:
            return answer
        text = answer
    return None


def _once(text: str) -> str | None:
    spans = [text[one.start : one.end] for one in standing(text)]
    for span in [*spans, *_last_line(text)]:
        math = _MATH.findall(span)
        answer = _tidy(next(filter(None, math[-1])) if math else span)
        if answer:
            return answer
    return None


def _last_line(text: str) -> list[str]:
    lines = [line for line in text[-4 * _LONGEST :].splitlines() if line.strip()]
    return lines[-1:] if lines and len(lines[-1]) <= _LONGEST else []


def _tidy(span: str) -> str | None:
    counted = _COUNTED.fullmatch(span.strip(" *_.$"))
    if counted and counted[2].split()[0] not in _MEASURES:
        span = counted[1]  # 12 apples, $12 per day
    span = _DELIMITERS.sub(" ", span).strip().strip("*_`\"' ").rstrip(".,;")
    number = whole_number(plain(span).strip())
    if number:
        return number
    span = re.sub(r"\\[dtc]frac(?![a-z])", r"\\frac", _SPACING.sub(" ", span))
    return _LOOSE_SPACE.sub("", _SPACE.sub(" ", span).strip()) or None


def is_expression(answer: str) -> bool:
    """True if an answer contains signs that a comparison by letters and digits would lose."""
    return len(answer) <= _LONGEST and _SIGNS.search(answer) is not None
