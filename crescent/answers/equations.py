"""Which quantity is the result of an equation.

In: a span with equality signs, and its quantities. Out: the result; None if there are several unknowns.
"""

import re
from collections.abc import Sequence

from crescent.answers.quantities import Quantity
from crescent.answers.roles import role_of
from crescent.answers.spans import Span
from crescent.answers.statements import of_sentence
from crescent.answers.vocabulary import CONCLUDES, EQUALS, LEADING, REJECTS, RESULTS, TRAILING

_UNKNOWN = re.compile(r"(?<![\w)\\])([A-Za-z])\s*=\s*-?[$€£]?\d")


def of_equation(span: Span, found: list[Quantity], signs: Sequence[int]) -> Quantity | None:
    """5 + 7 = 12 and 12 = 5 + 7 give 12; x = 2, y = 7 gives None."""
    found, signs, source = _before_reasons(span, found, signs)
    first = signs[0]
    explained = [one for one in found if one.end <= first]
    if (
        explained
        and any(_explains_before(span, i) for i in range(explained[0].end, first))
        and not any(span.text(i) in EQUALS for i in range(explained[0].end))
        and span.text(0) not in LEADING
    ):
        return of_sentence(span, [one for one in explained if not _behind_cut(span, one, explained[0])])
    unknowns = _UNKNOWN.findall(source)
    if len(unknowns) > 1 and not any(token.text in CONCLUDES or token.text == "→" for token in span.tokens):
        return None
    last = signs[-1]
    right = [one for one in found if one.start > last]
    left = [one for one in found if one.end <= first]
    alone = len(signs) == 1 and len(left) == 1 and left[0].start == 0 and left[0].end == first
    if alone and right and left[0].value and not left[0].calculated and _explains(span, first, right[0]):
        return left[0]
    while not right and last > first:
        last = signs[signs.index(last) - 1]
        right = [one for one in found if one.start > last]
    if not right:
        return of_sentence(span, left) if left and left[-1].end == first else None
    right = [right[0], *(one for one in right[1:] if role_of(span, one) == "free")]
    if len(right) == 1:
        return right[0]
    if any(span.text(i) in (",", "and", "or", "±") for i in range(right[0].end, right[1].start)) and (
        right[1].start - right[0].end <= 2
    ):
        return None
    makes = [one for one in right[1:] if span.text(one.start - 1) in RESULTS]
    if makes:
        return makes[0]
    return right[0] if span.text(right[0].end) not in CONCLUDES else of_sentence(span, right)


def _before_reasons(
    span: Span, found: list[Quantity], signs: Sequence[int]
) -> tuple[list[Quantity], Sequence[int], str]:
    """Without the reason at the end: "x = 4, since x = -4 is negative"."""
    cut = next(
        (i for i in range(found[0].end, len(span.tokens)) if span.text(i - 1) == "," and _gives_reason(span, i)), 0
    )
    earlier = [one for one in found if one.end <= cut]
    if not cut or signs[0] > cut or not any(one.start > signs[0] for one in earlier):
        return found, signs, span.source
    source = span.source[: span.tokens[cut].start - span.start]
    return earlier, [sign for sign in signs if sign < cut], source


def _gives_reason(span: Span, at: int) -> bool:
    return span.text(at) in REJECTS or (span.text(at) != "which" and _explains_before(span, at))


def _explains(span: Span, sign: int, right: Quantity) -> bool:
    """True if the right side is how the left one came about, or rounds it: "48 = 9 × 5 + 3", "1/6 ≈ 16.7%"."""
    return right.calculated or (span.text(sign) in ("≈", "\\approx") and span.text(sign - 2) == "/")


def _behind_cut(span: Span, one: Quantity, first: Quantity) -> bool:
    return any(_explains_before(span, i) for i in range(first.end, one.start))


def _explains_before(span: Span, at: int) -> bool:
    """True for a word after which an explanation follows: "because 3 + 4 = 7", not "which leaves 3 + 4 = 7"."""
    results = (span.text(at) == "which" and span.text(at + 1) in RESULTS) or (
        span.text(at) in RESULTS and not span.marked
    )
    bracket = span.text(at) == "(" and span.tokens[at - 1].end < span.tokens[at].start  # not 2(w + 6)
    return bracket or (span.text(at) in TRAILING and not results)
