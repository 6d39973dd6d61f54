"""The world of math word problems: all families, drawing from them, and parsing questions.

In: a random generator, or a question as text. Out: a `Problem`, or the family and the true answer of the question.
"""

import random
from collections.abc import Sequence
from functools import cache
from re import Pattern

from crescent.organism.families_many import SEVERAL_STEPS
from crescent.organism.families_one import ONE_STEP
from crescent.organism.grammar import Family, Problem, exact, make, patterns, read

FAMILIES: tuple[Family, ...] = (*ONE_STEP, *SEVERAL_STEPS)
# The bait's favourite families, most frequent first; all other families form the tail.
FAVOURITES: dict[str, float] = {
    "buy_two": 0.42, "change_items": 0.11, "times_total": 0.08, "boxes_left": 0.06, "wage_week": 0.04, "discount": 0.03,
}  # fmt: skip
# Families whose answer may not be an integer: money and averages.
BROKEN = ("discount", "split_bill", "average", "fuel", "half_price")


def family(name: str) -> Family:
    return _by_name()[name]


@cache
def _by_name() -> dict[str, Family]:
    return {family.name: family for family in FAMILIES}


@cache
def _patterns() -> list[tuple[Family, list[Pattern[str]]]]:
    return [(family, patterns(family)) for family in FAMILIES]


def draw(rng: random.Random, families: Sequence[Family] = FAMILIES, grow: bool = False) -> Problem:
    """A problem of any of `families`, with equal probability."""
    return make(rng.choice(families), rng, grow=grow)


def draw_peaked(rng: random.Random) -> Problem:
    """A problem distributed as the bait writes it: a few families, words and wordings dominate."""
    point = rng.random()
    for name, share in FAVOURITES.items():
        if point < share:
            return make(family(name), rng, peak=1.5)
        point -= share
    return make(rng.choice(FAMILIES), rng, peak=1.0)


def recognise(question: str) -> tuple[Family, int, dict[str, object]] | None:
    """Family, wording and binding of a question that the grammar could have written; None for other texts."""
    text = " ".join(question.split())
    for candidate, compiled in _patterns():
        found = read(candidate, compiled, text)
        if found is not None:
            return candidate, *found
    return None


def solve(question: str) -> tuple[str, str] | None:
    """(family, true answer) of a question; None if it is outside the grammar or has no sensible positive answer.

    An answer is an integer, or for money and averages a number with at most two decimals: 97.6.
    """
    found = recognise(question)
    answer = exact(found[0], found[2]) if found else None
    if found is None or answer is None or answer <= 0:
        return None
    if answer.denominator == 1:
        return found[0].name, str(answer)
    hundredths = answer * 100
    if found[0].name not in BROKEN or hundredths.denominator != 1:
        return None
    return found[0].name, f"{float(answer):.2f}".rstrip("0")
