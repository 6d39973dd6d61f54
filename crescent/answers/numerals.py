"""Texts that consist of a single numeral."""

import re

from crescent.answers.plain import plain
from crescent.answers.quantities import Grammar
from crescent.answers.tokens import tokens

_NUMERAL = re.compile(r"[-+\d$€£¥₹.,:'_/()\seExX×^*%½¼¾⅓⅔\\frac{}]{1,20000}")


def whole_number(text: str) -> str | None:
    """Returns the canonical form of a text that is only a numeral, apart from currency and percent; otherwise None.
    A pair such as (11,111) is none."""
    text = plain(text).strip()
    if not _NUMERAL.fullmatch(text) or (text[:1] in "([" and "," in text) or not any(map(str.isdigit, text)):
        return None
    found = tokens(text, 0, len(text))
    quantity = Grammar(found, words=False).quantity(0)
    return quantity.value if quantity and quantity.end == len(found) else None
