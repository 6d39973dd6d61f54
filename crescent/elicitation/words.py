"""The content words of a text.

In: texts. Out: the stems of their words, without common words.
"""

import re
from collections.abc import Iterable

from crescent.elicitation.vocabulary import stem, words_of

_WORD = re.compile(r"[^\W\d_]{3,}")
_COMMON = words_of(
    "the and for are was were has have had not but can will would could should may might must does did this"
    " that these those"
    " with from into onto over than then them they their there here what which who whom whose when where why"
    " how many much"
    " more most less least long far old each every all any some both one two three its his her hers our your"
    " yours you she"
    " him been being only also just very such own other another same about after before between during per off out need"
    " needs want wants get gets take takes make makes made find found give given let know think like look see try use"
    " question problem puzzle riddle answer solution help time thing things something anything"
)


def content_words(texts: Iterable[str]) -> frozenset[str]:
    """Stems of the content words."""
    words = (word.casefold() for text in texts for word in _WORD.findall(text))
    return frozenset(stem(word) for word in words if word not in _COMMON)
