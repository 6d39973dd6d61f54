"""Quantities of a sentence that are replaced, restated or only describe something.

In: a span, and its quantities. Out: the quantities without "12, or rather 15", "17.5, rounded up to 18", "3 hours, i.e.
180 minutes", "the train, which left at 9:00," and "the bus that leaves at 8:45".
"""

from collections.abc import Sequence
from itertools import pairwise

from crescent.answers.quantities import Quantity
from crescent.answers.roles import role_of
from crescent.answers.spans import Span
from crescent.answers.values import fraction
from crescent.answers.vocabulary import CONCLUDES, COPULAS, PREPOSITIONS, UNITS, VERBS

REACH = 4  # tokens between two quantities, or between a verb and its object


def without_asides(span: Span, found: list[Quantity]) -> list[Quantity]:
    """Drops what is replaced, "12, or rather 15" and "17.5, rounded up to 18", and asides ", which left at 9:00,"."""
    for index, (one, other) in enumerate(pairwise(found)):
        between = [span.text(i) for i in range(one.end, other.start)]
        if between[-2:] in (["or", "rather"], ["i", "mean"], ["should", "be"]) or _is_rounded(one, other, between):
            return found[index + 1 :]
        if _restates(span, one, other, between):
            return [*found[: index + 1], *found[index + 2 :]]
    return [one for one in found if not _is_inserted(span, one)] or found


def _restates(span: Span, one: Quantity, other: Quantity, between: Sequence[str]) -> bool:
    """True if `other` is `one` in other words: "3 hours, i.e. 180 minutes", "2/5 or 40%"."""
    said = " ".join(between)
    if said.endswith(
        ("i . e .", "i . e . ,", "that is", "that is ,", "or equivalently", "or equivalently ,", "in other words ,")
    ):
        return one.value is not None and role_of(span, one) == "free"
    if between[-1:] != ["or"]:
        return False
    if between[-2:] == [",", "or"] and span.text(other.end) == "of":
        return True  # "$24, or 1/3 of $72"
    if span.text(other.end) in ("per", "each", "apiece"):
        return True  # "$58, or $14.50 per person"
    units = span.unit(one.end), span.unit(other.end)
    percent = span.text(other.end - 1) == "%" and span.text(one.end - 1) != "%"
    return percent or (units[0] != units[1] and all(units) and UNITS[units[0]] == UNITS[units[1]])


def _is_rounded(one: Quantity, other: Quantity, between: Sequence[str]) -> bool:
    """True if `other` is `one` as a whole number: "17.5, so 18 buses", "45.3, which rounds to 45"."""
    exact, whole = fraction(one.value or ":"), fraction(other.value or ":")
    if exact is None or whole is None or exact.denominator == 1 or whole.denominator != 1 or len(between) > REACH:
        return False
    says = {"so", "rounds", "round", "rounded", "rounding", "≈", "→"} & set(between)
    return bool(says) and abs(exact - whole) < 1


def _is_inserted(span: Span, one: Quantity) -> bool:
    """True within a clause between two commas: "The train, which left at 9:00, arrives at 14:30"."""
    if _is_relative(span, one):
        return True
    begins = next((i for i in range(one.start - 1, 0, -1) if span.text(i) == ","), 0)
    ends = next((i for i in range(one.end, len(span.tokens)) if span.text(i) in (",", ";")), 0)
    return bool(begins and ends) and span.text(begins + 1) in (
        "which",
        "who",
        "whose",
        "where",
        "when",
        "because",
        "after",
    )


def _is_relative(span: Span, one: Quantity) -> bool:
    """True within a clause that describes a subject: "The bus that leaves at 8:45 arrives at 9:20"."""
    begins = range(one.start - 1, 0, -1)
    pronoun = next(
        (i for i in begins if span.text(i) in ("that", "which", "who", ",", "=") or span.text(i).endswith("ing")), 0
    )
    describes = (
        span.text(pronoun) not in (",", "=")
        and span.text(pronoun - 1) not in VERBS | COPULAS | CONCLUDES | PREPOSITIONS
    )
    behind = range(one.end, min(one.end + REACH, len(span.tokens)))
    stops = next((i for i in behind if span.text(i) in (",", "and", "or", "(", ";")), len(span.tokens))
    return bool(pronoun) and describes and any(span.text(i) in VERBS and i < stops for i in behind)
