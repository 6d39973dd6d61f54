"""The role of a quantity in its sentence, given by the words before and after it.

In: a span, and a quantity in it. Out: its role:

    free           what the sentence states: "pays $15"
    given          part of what is spoken of: "the 8 friends", "her 3 cats"
    circumstance   when, where, for what: "after 6 weeks", "day 7", "5 more than 12"
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

from crescent.answers.quantities import Quantity
from crescent.answers.spans import Span
from crescent.answers.vocabulary import DETERMINERS, LABELS, MEASURES, NOT_POSSESSIVE, PREPOSITIONS, VERBS

Role = Literal["free", "given", "circumstance"]


def roles_of(span: Span, found: Sequence[Quantity]) -> list[Role]:
    roles: list[Role] = []
    for index, one in enumerate(found):
        role = role_of(span, one)
        before = span.text(one.start - 1)
        if role == "free" and index and roles[-1] != "free" and before in ("and", ",", "or"):
            between = [span.text(i) for i in range(found[index - 1].end, one.start)]
            if not set(between) & VERBS and "," not in between:
                role = roles[-1]
        roles.append(role)
    return roles


def role_of(span: Span, one: Quantity) -> Role:
    before, following = span.text(one.start - 1), span.text(one.end)
    if following.endswith("あたり") or is_label(span, one) or _compares(span, one):
        return "circumstance"
    if following == "-" and one.end + 1 < len(span.tokens) and span.tokens[one.end + 1].kind == "word":
        return "circumstance"  # a 30-minute episode
    if before == "of":
        stated = span.text(one.start - 2) in MEASURES and (span.text(one.start - 3) in ("a", "an", "in") or one.money)
        return "free" if stated else "circumstance"
    if before in PREPOSITIONS or (before == "to" and span.text(one.start - 2) not in VERBS):
        return "circumstance"
    if before in DETERMINERS or (before.endswith("'s") and before not in NOT_POSSESSIVE):
        return "given"
    return "free"


def _behind_than(span: Span, one: Quantity) -> range:
    than = next((i for i in range(one.end, len(span.tokens)) if span.text(i) == "than"), len(span.tokens))
    return range(than, min(than + 4, len(span.tokens)))


def is_label(span: Span, one: Quantity) -> bool:
    return span.text(one.start - 1) in LABELS and span.tokens[one.start].kind == "number" and not one.money


def _compares(span: Span, one: Quantity) -> bool:
    """True for 5 more than 12 · 3 times as many · 20% off"""
    words = [span.text(i) for i in range(one.end, one.end + 5)]
    if words[0] == "times" and words[1] in ("as", "more", "the", "that"):
        return True
    if span.text(one.start - 1) in VERBS and not any(span.tokens[i].kind == "number" for i in _behind_than(span, one)):
        return False  # "earned $120 more than Paul"
    return any(a in ("more", "less", "fewer", "older", "younger", "taller") and b == "than" for a, b in pairwise(words))
