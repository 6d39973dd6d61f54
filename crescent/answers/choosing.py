"""Which quantity of a committed span is the answer: "Each of the 8 friends pays $15." 15.

In: text in plain notation (`plain`), and the position of the span. Out: a `Reading`: whether the span contains
quantities, and the canonical value of the answer; None if there are several (a pair, a range, two lengths) or if it is
not rational.
"""

import re
from dataclasses import dataclass

from crescent.answers.equations import of_equation
from crescent.answers.lists import listed
from crescent.answers.quantities import Quantity
from crescent.answers.spans import Span
from crescent.answers.spelled import SCALES
from crescent.answers.statements import of_sentence
from crescent.answers.vocabulary import EQUALS, MONTHS, NEGATIONS, NO_EQUATION, VERBS

_PAIR = re.compile(
    r"[\s$]*(?:[A-Za-z]\s?=\s?|[Tt]he \w{1,20} (?:is|are) )?[\s$]*[(\[{][^()\[\]{}\n]{0,80}[,;][^()\[\]\n]{0,120}[)\]}]"
)
_PARTS = re.compile(r"(?:^|[\s,;])(?:\(([a-h1-9]|i{1,3}|iv)\)|([a-h1-9])[).](?!\d))(?=\s)")
_ONE_OF = re.compile(r"\d\s*(?:(?:\w+ )?out of|in) (?:every )?\d+\W*(?:\w+\W*)?$")
_TIMES = re.compile(r"(?:only |just |exactly )?(once|twice|thrice)", re.IGNORECASE)
_TIMES_VALUES = {"once": "1", "twice": "2", "thrice": "3"}
_CALENDAR_DAY = re.compile(
    r"(?:january|february|march|april|may|june|july|august|september|october|november|december) \d{1,2}(?:st|nd|rd|th)"
)
_BRACKETED = re.compile(r"\([^()]{0,120}\)")
# "18", "$1,250", "138 lines of text.": by far the most frequent forms, parsed without the grammar
_BARE_NUMBER = re.compile(
    r"[$€£]?([1-9]\d{0,2}(?:,\d{3}){1,4}|\d{1,15})(?: (?P<unit>[A-Za-z]{2,16})(?! and (?:a )?(?:half|quarter)\b)"
    r"(?:[ ,'/][A-Za-z ,'/]{0,200})?)?\.?[\s*]*"
)
_NO_UNIT = (
    SCALES.keys()
    | {f"{name}s" for name in SCALES}
    | {"times", "plus", "minus", "divided", "multiplied", "and", "point", "am", "pm", "or"}
)


_NO_FAST_UNIT = _NO_UNIT | MONTHS


@dataclass(frozen=True, slots=True)
class Reading:
    """Number of `quantities` in the span, `value` of the answer, and `end`: where in the text the answer ends."""

    quantities: int
    value: str | None
    end: int
    direct: bool = False  # True if little comes before the quantity


def read(text: str, start: int, end: int, exclaims: bool = False, marked: bool = True) -> Reading:
    """Returns what the span `text[start:end]` states.

    `exclaims`: a "!" at its end is an exclamation mark, not a factorial. `marked`: the response marks the span as its
    answer. In an unmarked sentence the last number counts, unless it belongs to a clause that explains or compares, and
    number words are ignored.
    """
    simple = _BARE_NUMBER.fullmatch(text, start, end)
    if simple and not (simple["unit"] and simple["unit"].lower() in _NO_FAST_UNIT):
        return Reading(1, simple[1].replace(",", "").lstrip("0") or "0", simple.end(1), True)
    span = text[start:end].strip(" *_.$")
    if marked and (times := _TIMES.fullmatch(span)):
        return Reading(1, _TIMES_VALUES[times[1].lower()], end, True)
    if ";" in span and (values := listed(span)):
        return Reading(2, values, end, True)
    if _CALENDAR_DAY.fullmatch(span.lower()):
        return Reading(1, span.lower(), end, True)
    several = _PAIR.match(text, start, end) or (
        (")" in span or ". " in span) and ("=" not in span and len(_PARTS.findall(span)) > 1)
    )
    if several and any(map(str.isdigit, span)):
        return Reading(2, None, end)
    return _reading(text, start, end, exclaims, marked)


def _reading(text: str, start: int, end: int, exclaims: bool, marked: bool) -> Reading:
    span = Span(text, start, end, marked)
    found = span.quantities()
    if not found:
        return Reading(0, None, span.end)
    if _ONE_OF.search(span.source.strip(" .*$")) and len(found) == 2 and found[0].start == 0:
        return Reading(2, None, span.end)
    aside = _aside(span, found)
    if aside:
        span = Span(text, start, span.tokens[aside].start, marked)
        found = span.quantities() or found
    chosen = _chosen(span, found)
    last = found[-1] if chosen is None else chosen
    value = None if chosen is None else chosen.value
    if chosen is not None and chosen.calculated and not span.marked:  # nobody says that this is the answer
        value = next((one.value for one in reversed(span.tokens) if one.kind == "number"), None)
    if chosen is not None and chosen.exclaimed and (exclaims or chosen.money or len(span.tokens) > 6):
        value = chosen.exclaimed
    end = span.tokens[last.end - 1].end if last.end <= len(span.tokens) else span.end
    return Reading(len(found), value, end, last.start <= 2)


def _chosen(span: Span, found: list[Quantity]) -> Quantity | None:
    """The quantity that is the answer; None if there is none or several."""
    found = [one for one in found if not _is_negated(span, one)] or found
    found = [one for one in found if not _is_date(span, one)]
    if not found:
        return None
    if span.texts & NO_EQUATION and not span.texts & VERBS:
        return None
    signs = [i for i, token in enumerate(span.tokens) if token.text in EQUALS]
    if signs:
        return of_equation(span, found, signs)
    if len(found) == 1:
        return found[0]
    return of_sentence(span, found)


def _aside(span: Span, found: list[Quantity]) -> int:
    """Where a bracket begins that only explains what stands before it: "24 (check: 24 + 12 = 36)"; 0 if none does."""
    for at, token in enumerate(span.tokens):
        if token.text == "(" and at and span.tokens[at - 1].end < token.start:
            inside = any(one.start <= at < one.end for one in found)
            closes = next((i for i in range(at, len(span.tokens)) if span.text(i) == ")"), len(span.tokens) - 1)
            last = not any(one.start > closes for one in found)
            if not inside and last and any(one.end <= at for one in found):
                return at
    return 0


def _is_negated(span: Span, one: Quantity) -> bool:
    before = span.text(one.start - 1)
    return (
        before in NEGATIONS
        or (before == "than" and span.text(one.start - 2) in ("rather",))
        or (before == "of" and span.text(one.start - 2) == "instead")
        or (before in ("at", "is", "for") and span.text(one.start - 2) == "not")
    )


def _is_date(span: Span, one: Quantity) -> bool:
    if one.end - one.start == 1 and span.tokens[one.start].kind == "date":
        return True
    near = [span.text(one.start - 1), span.text(one.end)]
    if span.text(one.start - 1) == "," or near[0] in ("the", "of"):
        near.append(span.text(one.start - 3))
    return any(word in MONTHS for word in near) or (
        "may" in span.texts
        and any(
            token.raw == "May" and (index == one.start - 1 or index == one.end)
            for index, token in enumerate(span.tokens)
        )
    )
