"""Numbers spelled out in English: "twenty-five" 25, "one hundred and five" 105, "three million" 3000000."""

import re

_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
    " eighteen nineteen"
)
_UNITS = {word: value for value, word in enumerate(re.findall(r"\w+", _SMALL))}
_DECADES = re.findall(r"\w+", "twenty thirty forty fifty sixty seventy eighty ninety")
_TENS = {word: 10 * value for value, word in enumerate(_DECADES, start=2)}
_LARGE = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_WORD = "|".join(sorted([*_UNITS, *_TENS, *_LARGE, "hundred"], key=len, reverse=True))
_SPELLED = re.compile(
    rf"\W*(?:(?:about|approximately|exactly|only|just)\s+)?(?P<minus>(?:minus|negative)\s+)?"
    rf"(?P<number>(?:{_WORD})(?:(?:[\s-]|\sand\s){{1,3}}(?:{_WORD})){{0,20}})\b",
    re.IGNORECASE,
)


def spelled_number(text: str) -> str | None:
    """The number that `text` begins with, spelled out; None where it begins with something else."""
    found = _SPELLED.match(text)
    if not found:
        return None
    total = group = 0
    for word in re.findall(_WORD, found["number"].lower()):
        if word in _LARGE:
            total, group = total + max(group, 1) * _LARGE[word], 0
        elif word == "hundred":
            group = max(group, 1) * 100
        else:
            group += _UNITS[word] if word in _UNITS else _TENS[word]
    total += group
    return f"-{total}" if found["minus"] and total else str(total)
