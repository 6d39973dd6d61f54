"""Answers that are lists with semicolons: "8; 40" · "8 (cows); 40 (hens)" · "12 m; 5 m" · "x = 2; y = 7".

In: a span that a response commits to. Out: the canonical values of its items joined by "; ", or None if it is not such
a list. Every item is a value with at most a name before and a unit after it: "36; so she needs 36 boxes" is not a list.
"""

import re

from crescent.answers.numerals import whole_number

_ITEM = re.compile(
    r"\s*(?:[^\W\d]\w{0,20}(?: [^\W\d]\w{0,20}){0,2}\s*[:=]\s*)?(?P<value>-?[$€£]?\s?-?\d[\d,./:]*)\s?"
    r"(?:%|°|\([^()\d;]{1,24}\)|(?!so\b|or\b|and\b|am\b|pm\b)[^\W\d]{1,16}(?:/[^\W\d]{1,6}|\^?[²³23])?)?\s*"
)
MOST_ITEMS = 10


def listed(span: str) -> str | None:
    """Returns the canonical form of a list of values, or None."""
    items = span.split(";")
    if not 1 < len(items) <= MOST_ITEMS:
        return None
    found = [_ITEM.fullmatch(item) for item in items]
    values = [whole_number(one["value"].rstrip(".,:")) if one else None for one in found]
    return "; ".join(value for value in values if value) if all(values) else None
