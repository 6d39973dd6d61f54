"""Masks numbers in a text, for `mask_numbers`: questions that differ only in their numbers become equal.

Unmasked, "Tom has 12 apples" and "Tom has 15 apples" are two texts with a cosine of 0.91 to 0.98, so a strict threshold
may keep both; masked, both read "Tom has N apples".
"""

import re

_WORDS = (
    "two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen"
    "|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|hundred|thousand|million|billion"
)
# 12 · 1,000 · 2.50 · 3/4 · ½ · twenty-five · two hundred. Not "one" ("one of them", "which one") and no ordinals.
_NUMBER = re.compile(
    rf"(?:\d+(?:[.,/:]\d+)*|[¼-¾⅐-⅞]|\b(?:{_WORDS})\b)(?:[ -](?:and )?(?:\d+/\d+|[¼-¾⅐-⅞]|(?:{_WORDS})\b))*",
    re.IGNORECASE,
)


def mask_numbers(text: str, placeholder: str = "N") -> str:
    """`text` with every number, in digits or spelled out, replaced by one placeholder."""
    return _NUMBER.sub(placeholder, text)
