"""Detects loops: a model that lost its thread repeats the same words.

In: a text. Out: whether it contains such a loop.
"""

import re

_WORD = re.compile(r"[^\W_]+", re.UNICODE)
LONGEST = 40  # words per repetition
TURNS = 4
SHORTEST = 12  # words of all repetitions together: "very, very, very big" is not a loop


def repeats_itself(text: str) -> bool:
    """True if the same words occur at least `TURNS` times in a row."""
    words = [word.casefold() for word in _WORD.findall(text)]
    if any(map(str.isdigit, words)) is False and not words:
        return False
    return any(_loops(words, period) for period in range(1, LONGEST + 1))


def _loops(words: list[str], period: int) -> bool:
    needed = max(SHORTEST - period, period * (TURNS - 1))
    run = 0
    for index in range(period, len(words)):
        run = run + 1 if words[index] == words[index - period] else 0
        if run >= needed and not all(word.isdigit() for word in words[index - period : index]):
            return True
    return False
