"""The number a response commits to: its last valid commitment, or without any, what its last statement gives.

A commitment that is not a number ("no solution", "Tuesday", 2\\sqrt{3}, a pair) is the answer too: the result is None.
"""

import re

from crescent.answers.choosing import Reading, read
from crescent.answers.commitments import Commitment, sentence_end
from crescent.answers.corrections import (
    after_negation,
    boxed_together,
    corrected_from,
    is_another_case,
    is_bound,
    is_one_of_several,
    standing,
)
from crescent.answers.plain import plain
from crescent.answers.thoughts import without_thoughts
from crescent.answers.unmarked import REFUSES, last_statement

_DIGIT = re.compile(r"\d")
_BULLET = re.compile(r"\s*(?:[-*•]|\d{1,2}[.)])\s+\S")
_TOTAL = re.compile(r"\b(?:total|sum|altogether|overall|in all|answer|result)\b[^\n\d$€£-]{0,20}[:=]?", re.IGNORECASE)
_REASONS = re.compile(r"\s*(?:first|let|step|we|to (?:find|solve|answer)|since|start)\b", re.IGNORECASE)
_EMPTY_PHRASE = re.compile(r"[\s*]*(?:(?:the|a|an|simply|just|what|how|that|in|as|to|equal)\b|$)", re.IGNORECASE)
_NO_NUMBER = re.compile(
    r"\W*(?:it |this )?(?:cannot|can't|can not|is (?:impossible|not possible)|not (?:enough|possible)"
    r"|insufficient|impossible\b"
    r"|neither\b|undefined|no (?:real |integer |such )?(?:solutions?|answer|way)\b|infinit|(?:on )?(?:mon|tues"
    r"|wednes|thurs|fri|satur|sun)day\b)",
    re.IGNORECASE,
)
_UNSETTLED = re.compile(
    r"\W*(?:enough|known|possible|clear|determin|given|unique|defined|available|a number|an integer)", re.IGNORECASE
)
_YES = re.compile(
    r"\W*(?:yes|no|true|false)\W*(?:$|[,.]?\s*(?:because|since|as|she|he|it|they|the|\d+ is)\b)", re.IGNORECASE
)
# "There are no apples left": zero
_NONE_LEFT = re.compile(
    r"\W{0,8}(?:[^.!?\n\d]{0,40}\b(?:is|are|were|was|has|have|had|with|will be) )?(?:no|none|zero)\b[^.!?\n\d]{0,40}"
    r"\b(?:left|remain\w*|over|unsold|unused)\b[^\n\d]{0,20}",
    re.IGNORECASE,
)
_OPTION = re.compile(
    r"[\s*]*(?:(?:[Oo]ption|[Cc]hoice)\s+)?(?:\([A-H]\)|[A-H][).:])[\s*]+(?=[^\n]*\d)(?![^\n]*\([B-H]\))"
)


def extract_number(text: str) -> str | None:
    """Returns the canonical number `text` commits to, or None."""
    text = plain(without_thoughts(text))
    other_case: str | None = None
    for commitment in standing(text):
        found = _committed(text, commitment)
        if found is None:
            continue
        if is_another_case(text, commitment):
            other_case = other_case or found.value
            continue
        if found.value is not None and is_one_of_several(text, commitment):
            return None
        if commitment.mark == "boxed" and (beside := boxed_together(text, commitment)):
            other = _committed(text, beside)
            return found.value if other is None or other.value == found.value else None
        return _uncorrected(text, found)
    return other_case or last_statement(text, 0)


def _uncorrected(text: str, found: Reading) -> str | None:
    start = corrected_from(text, found.end)
    later = last_statement(text, start) if start is not None else None
    return later if later is not None else found.value


def _committed(text: str, one: Commitment) -> Reading | None:
    """What a commitment states; None if it states nothing: a heading, a bound, the beginning of a calculation."""
    start, end = one.start, one.end
    option = _OPTION.match(text, start, end)
    start = option.end() if option else start
    if one.negated:
        if _UNSETTLED.match(text, start, end):
            return Reading(0, None, end)
        turned = after_negation(text, start, end)
        if turned is None:
            return None
        start, end = turned, sentence_end(text, turned)
    elif is_bound(text, one):
        return None
    if _NONE_LEFT.fullmatch(text, start, end):
        return Reading(1, "0", end, True)
    if one.mark in ("label", "hashes"):
        line = text.rfind("\n", one.at, start) + 1
        if line and _BULLET.match(text, line, end):
            return _list(text, line)
        return _labelled(text, one, start, end)
    if REFUSES.match(text, start, end) and not _DIGIT.search(text, start, end):
        return Reading(0, None, end)
    found = read(text, start, end, exclaims=one.mark == "phrase")
    if found.quantities:
        return found
    if one.mark == "phrase" and _EMPTY_PHRASE.match(text, start, end):
        return None
    return Reading(0, None, end) if text[start:end].strip(" *_.$") else None


def _labelled(text: str, one: Commitment, start: int, end: int) -> Reading | None:
    """Reads "Answer: $18 a day" and "#### 18", but not "Answer: First, 16 - 3 = 13. Then ..." or a heading."""
    strong = one.mark == "hashes" or "#" in text[max(0, one.at - 12) : one.at]
    if (
        _YES.match(text, start, end)
        or _NO_NUMBER.match(text, start, end)
        or (REFUSES.match(text, start, end) and not _DIGIT.search(text, start, end))
    ):
        return Reading(0, None, end)
    stop = (
        min(end, sentence_end(text, start)) if "=" not in text[start:end] or not _spans_lines(text, start, end) else end
    )
    if text[stop : stop + 1] == "!" and text[stop - 1].isalnum() and not re.search(r"[^\W\d_]", text[stop:end]):
        stop = end  # "5! × 3" is a factorial, "5! Well done" is not
    if stop < end and text[stop - 1] == "!" and text[stop:end].lstrip().startswith("="):
        stop = end
    found = read(text, start, stop)
    if found.quantities:
        goes_on = not (found.direct and stop - found.end <= 16 and found.quantities == 1)
        weak = one.mark == "label" and goes_on and (not strong or _REASONS.match(text, start, stop))
        return None if weak and _DIGIT.search(text, stop, _paragraph_end(text, stop)) else found
    bare = text[start:end].strip(" *_.$#:")
    if (
        not bare
        or bare.lower() in ("answer", "final answer")
        or (_DIGIT.search(text, end) and (one.mark == "hashes" or not strong or _REASONS.match(text, start, stop)))
    ):
        return None
    return Reading(0, None, end)


def _spans_lines(text: str, start: int, end: int) -> bool:
    return "\n" in text[start:end]


def _paragraph_end(text: str, start: int) -> int:
    end = text.find("\n\n", start)
    return end if end >= 0 else len(text)


def _list(text: str, start: int) -> Reading | None:
    """The total in a list; None for other lists with several numbers."""
    readings: list[Reading] = []
    at = start
    while at < len(text) and _BULLET.match(text, at) and len(readings) < 32:
        end = text.find("\n", at)
        end = end if end >= 0 else len(text)
        total = _TOTAL.search(text, at, end)
        bullet = re.compile(r"\s*(?:[-*•]|\d{1,2}[.)])\s+").match(text, at)
        found = read(text, total.end() if total else bullet.end() if bullet else at, end)
        if total and found.quantities:
            return found
        readings.append(found)
        at = end + 1
    numbers = [one for one in readings if one.quantities]
    if len(numbers) == 1:
        return numbers[0]
    return Reading(len(numbers), None, min(at, len(text))) if numbers else None
