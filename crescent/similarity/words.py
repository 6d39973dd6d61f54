"""Splits a text into words, for comparisons by wording.

Scripts without spaces between words (Chinese, Japanese, Thai, Lao, Khmer, Burmese, Tibetan) give overlapping pairs of
characters instead, as in Lucene's CJK analyzer. Uses no dictionary.
"""

import re

# Thai to Tibetan · Burmese · Khmer · Burmese, extended · kana and ideographs with their iteration marks · rare ones
_UNSPACED = (
    "\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ece\u0edc-\u0edf\u0f00\u0f40-\u0fbc\u1000-\u103f\u1050-\u108f\u1780-\u17d3"
    "\ua9e0-\ua9ef\ua9fa-\ua9fe\uaa60-\uaa76\uaa7a-\uaa7f\u3005-\u3007\u3041-\u3096\u309d-\u309f\u30a1-\u30fa"
    "\u30fc-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
_ANY_UNSPACED = re.compile(f"[{_UNSPACED}]")
# a run without spaces · 15 · 3.5 · 1,000 · km: punctuation between runs is left out
_RUN = re.compile(f"[{_UNSPACED}]+|[^\\W{_UNSPACED}]+(?:[.,:/][^\\W{_UNSPACED}]+)*")


def words_of(text: str) -> list[str]:
    """`text` split at white space; parts written without spaces become pairs of characters: 苹果树 is [苹果, 果树]."""
    return [word for piece in text.split() for word in (_cut(piece) if _ANY_UNSPACED.search(piece) else [piece])]


def _cut(piece: str) -> list[str]:
    found = []
    for run in _RUN.findall(piece):
        pairs = len(run) > 1 and _ANY_UNSPACED.match(run)
        found += [run[at : at + 2] for at in range(len(run) - 1)] if pairs else [run]
    return found
