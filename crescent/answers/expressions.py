"""Answers that are mathematical expressions, as text: the content of \\boxed{} or what follows another mark.

In: a response. Out: its expression in normalised spelling (no dollar signs, \\left or spacing), or a numeral. Two
spellings of one value (\\sqrt{8}, 2\\sqrt{2}) stay different: see `symbolic`.
"""

import re

from crescent.answers.commitments import Commitment
from crescent.answers.corrections import boxed_together, standing
from crescent.answers.numbers import extract_number
from crescent.answers.numerals import whole_number
from crescent.answers.plain import plain
from crescent.answers.thoughts import without_thoughts

_LONGEST = 400
# Signs that cannot be dropped without changing the meaning: -x, |x|, n!, (0,1], x<3, \\sqrt{2}
_SIGNS = re.compile(r"[\\^_|!<>=+±√π∞'\[\]{}]|^-|(?<=[\w)])\s?[-+*/]\s?(?=[(\w])|^\([^()]*,[^()]*\)$|^[A-Za-z]$")
_COUNTED = re.compile(
    r"([$€£¥₹]?\s?-?\d[\d,.]*%?)\s+((?:per |each |of )?[a-z]{3,20}(?: (?:per|each|of|in|a) [a-z ]{2,30}|s)?)"
)
_IN_TEXT = re.compile(r"(-?[\d,.]*\d)\s*\\(?:text|textrm|mathrm|mbox)\s*\{\s*([a-z]{3,20})\s*\}")  # 12\text{ apples}
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
_MATH = re.compile(
    r"\$\$(.{1,400}?)\$\$|(?<!\\)\$((?:\\.|[^$\\\n]){1,400})\$|\\\((.{1,400}?)\\\)|\\\[(.{1,400}?)\\\]", re.DOTALL
)
_WHERE = re.compile(
    r"\$?,?\s+(?:where|with|for|if|when|because|since|assuming)\s+(?:\\?[\w$(]).*$", re.DOTALL
)  # 15h + 40, where h is ...
_NO_GAP = re.compile(r"(?<=[\d,}])\\!\s?(?=\d)")  # 11,\! 111
_SPACING = re.compile(r"(?<!\\)~|\\(?:[,;:! ]|quad|qquad|left(?![a-z])|right(?![a-z])|displaystyle)")
_SENTENCE = re.compile(r"\W*(?:[A-Za-z']{1,20},? ){2,}[^=]*$")
# "5, 7" and "(11, 111)" are no decimals or groups; "1,250" and "0,5" are numbers
_LIST = re.compile(r"-?\d[\d.]*(?:\s*,\s*-?\d[\d.]*)+")
_ONE_NUMBER = re.compile(r"-?(?:0,\d+|[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?|[1-9]\d?(?:,\d\d)+,\d{3})")
_SET = re.compile(r"\\?\{.*,.*\}", re.DOTALL)
_DELIMITERS = re.compile(r"\\?\$+|\\[()\[\]]")
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
    spans = [_joined(text, one) for one in standing(text)]
    for span in spans:
        math = _MATH.findall(span)
        answer = _tidy(next(filter(None, math[-1])) if math else span)
        if answer:
            return answer
    return _unmarked(text)


def _unmarked(text: str) -> str | None:
    """What the last line gives: its formula, itself, or the number that its sentence states."""
    for line in _last_line(text):
        math = _MATH.findall(line)
        answer = _tidy(next(filter(None, math[-1])) if math else line)
        if answer and not math and _SENTENCE.match(line):
            return extract_number(text) or answer
        if answer:
            return answer
    return None


def _joined(text: str, one: Commitment) -> str:
    """The content of a box, with that of a box beside it: "\\boxed{5} and \\boxed{7}"."""
    inside = text[one.start : one.end]
    beside = boxed_together(text, one) if one.mark == "boxed" else None
    before = text[beside.start : beside.end] if beside else inside
    return inside if before == inside else f"{before}, {inside}"


def _last_line(text: str) -> list[str]:
    lines = [line for line in text[-4 * _LONGEST :].splitlines() if line.strip()]
    return lines[-1:] if lines and len(lines[-1]) <= _LONGEST else []


def _tidy(span: str) -> str | None:
    span = _WHERE.sub("", _NO_GAP.sub("", span))
    counted = _COUNTED.fullmatch(span.strip(" *_.$"))
    worded = _IN_TEXT.fullmatch(span.strip(" *_.$"))
    if worded and worded[2].strip() not in _MEASURES:
        span = worded[1]
    if counted and counted[2].split()[0] not in _MEASURES:
        span = counted[1]  # 12 apples, $12 per day
    span = _DELIMITERS.sub(" ", span).strip().strip("*_`\"' ").rstrip(".,;")
    items = _LIST.fullmatch(span)
    if items and not _ONE_NUMBER.fullmatch(span):
        return ", ".join(item.strip() for item in span.split(","))
    number = None if _SET.fullmatch(span) else whole_number(plain(span).strip())
    if number:
        return number
    span = re.sub(r"\\[dtc]frac(?![a-z])", r"\\frac", _SPACING.sub(" ", span))
    return _LOOSE_SPACE.sub("", _SPACE.sub(" ", span).strip()) or None


def is_expression(answer: str) -> bool:
    """True if an answer contains signs that a comparison by letters and digits would lose."""
    return len(answer) <= _LONGEST and _SIGNS.search(answer) is not None
