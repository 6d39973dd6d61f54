"""Building blocks of the phrases that identify talk (`reader_phrases`, `problem_phrases`).

`opening` phrases begin a sentence, `within` phrases occur anywhere in it; both match whole words and ignore case. NOUN:
what a problem is called; MAKES: what a writer does with one.
"""

import re
from collections.abc import Iterable

NOUN = (
    r"(?:problems?|questions?|puzzles?|riddles?|versions?|challenges?|scenarios?|exercises?|modifications?|rewrites?)"
)
SPEAKER = r"(?:i|we|you|let(?:'s| us| me)|i'd|i'll|i've|i'm|we'll|we've|you'll)"
MAKES = (
    r"(?:creat|modif|generat|rewrit|rewrot|reword|rephras|revis|adapt|alter|chang|mak|made|differentiat|com(?:e"
    r"|ing) up|came up"
    r"|provid|think|try|craft|design|writ|consider|propos|present|replac|us(?:e|ed|ing)\b|solv|pick|suggest|turn"
    r"|transform|swap"
    r"|do\b|offer|share|give|avoid|keep|kept|add(?:ed|ing)?\b)\w*"
)
PROBLEM_ADJECTIVES = (
    r"(?:(?:two|new|modified|revised|rewritten|updated|original|above|following|first|second|current|same|given"
    r"|unique|creative"
    r"|math|mathematical|word|high school|level|changed|rephrased|resulting|altered|different|adapted|final|last"
    r"|main|key|only"
    r"|major|primary|type of|kind of) )*"
)


def opening(phrases: Iterable[str]) -> re.Pattern[str]:
    return re.compile(r"\W{0,4}(?:" + "|".join(phrases) + r")(?!\w)", re.IGNORECASE)


def within(phrases: Iterable[str]) -> re.Pattern[str]:
    return re.compile(r"(?<!\w)(?:" + "|".join(phrases) + r")", re.IGNORECASE)


def literal(words: Iterable[str]) -> list[str]:
    return [re.escape(word) for word in sorted(words, key=len, reverse=True)]
