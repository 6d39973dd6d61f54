"""Which quantity a sentence states.

In: a span without an equation, and its quantities. Out: the answer; None if there are several. In a span that is marked
as the answer it is the first free quantity after the verb of the main clause; in an unmarked sentence the last.
"""

from collections.abc import Sequence
from itertools import pairwise

from crescent.answers.asides import REACH, without_asides
from crescent.answers.quantities import Quantity
from crescent.answers.roles import is_label, role_of, roles_of
from crescent.answers.spans import Span
from crescent.answers.vocabulary import (
    CONCLUDES,
    COPULAS,
    DETERMINERS,
    JOINS,
    LEADING,
    PREPOSITIONS,
    RESULTS,
    TRAILING,
    UNITS,
    VERBS,
)

_WILL = frozenset(["have", "has", "need", "needs", "able", "going", "want", "wants", "had", "needed", "allowed"])


def of_sentence(span: Span, found: list[Quantity]) -> Quantity | None:
    if not span.marked and span.text(0) == "to":  # "To find the cost, we multiply 3 by 5": a plan
        return found[-1]
    totals = [one for one in found if _is_total(span, one)]
    if span.marked and len(totals) == 1:
        return totals[0]
    found = _main_clause(span, without_asides(span, found))
    if not span.marked:
        return _last_stated(span, found)
    if len(found) == 1:
        return found[0]
    roles = roles_of(span, found)
    free = [one for one, role in zip(found, roles, strict=True) if role == "free"]
    if _is_range(span, found, free):
        return None
    if not free:
        clocks = [one for one in found if span.tokens[one.start].kind == "clock"]
        money = [one for one in found if one.money]
        ordinals = [one for one in found if span.text(one.end - 1) in ("st", "nd", "rd", "th")]
        rest = [
            one for one, role in zip(found, roles, strict=True) if role == "circumstance" and not is_label(span, one)
        ]
        return (clocks or money or ordinals or rest or found)[0]
    return _first_stated(span, free)


def _is_range(span: Span, found: Sequence[Quantity], free: Sequence[Quantity]) -> bool:
    """True for 5 to 8 days · between 5 and 7 · 12 m by 8 m, if nothing else is stated."""
    one, other = next(((a, b) for a, b in pairwise(found) if not free or a is free[0] or b is free[0]), found[:2])
    between = [span.text(i) for i in range(one.end, other.start)]
    if len(free) > 1 or not set(between) & {"to", "by", "x", "×", "and"} or len(between) > 3:
        return False
    if between[-1] in ("to", "by", "x", "×") and len(found) == 2:
        return role_of(span, one) == "free" or span.text(one.start - 1) in ("from", "of")
    return span.text(one.start - 1) == "between" and (not free or other is free[0])


def _main_clause(span: Span, found: list[Quantity]) -> list[Quantity]:
    """Drops the leading clause ("After 2 stops, ...") and clauses that explain ("..., because 3 + 4")."""
    if span.text(0) in LEADING:
        comma = next((i for i in range(len(span.tokens)) if span.text(i) == ","), len(span.tokens))
        found = [one for one in found if one.start > comma] or found
    for sign in range(found[0].end, len(span.tokens)):
        text = span.text(sign)
        if text in ("(", ";") or text in CONCLUDES:
            later = [one for one in found if one.start > sign]
            earlier = [one for one in found if one.end <= sign]
            if (
                text in CONCLUDES
                and later
                and (
                    found[0].calculated or found[0].value is None or (span.text(0) not in ("",) and found[0].start > 0)
                )
            ):
                return later
            if earlier and any(role == "free" for role in roles_of(span, earlier)):
                return earlier
    if found[0].calculated and len(found) > 1:
        between = [span.text(i) for i in range(found[0].end, found[1].start)]
        if set(between) & {"which", "is", "or", "so", "makes", "gives", "equals", "equal", "are"}:
            return found[1:2]
    return _before_trailing(span, found)


def _before_trailing(span: Span, found: list[Quantity]) -> list[Quantity]:
    for sign in range(found[0].end, len(span.tokens)):
        text = span.text(sign)
        if text in TRAILING or (
            text == "to" and span.marked and sign + 1 < len(span.tokens) and span.tokens[sign + 1].kind == "word"
        ):
            earlier = [one for one in found if one.end <= sign]
            if any(role == "free" for role in roles_of(span, earlier)):
                return earlier
    return found


def _last_stated(span: Span, found: Sequence[Quantity]) -> Quantity | None:
    """For an unmarked sentence: the last number, but not a time or thing added by a clause after a comma."""
    if len(found) > 2 and span.text(found[-1].start - 1) == "to" and span.text(found[-2].start - 1) == "from":
        found = found[:-2]  # "7 days to grow from 3 cm to 10 cm"
    stated = found[-1]
    for one, other in pairwise(found):
        between = [span.text(i) for i in range(one.end, other.start)]
        behind = between[between.index(",") + 1 :][:1] if "," in between else []
        describes = span.text(one.end) == "-"  # "the 400-meter hurdles"
        if (
            behind
            and behind[0] not in RESULTS
            and "total" not in between
            and not describes
            and (behind[0] in PREPOSITIONS | TRAILING or behind[0].endswith("ing"))
        ):
            stated = one
            break
        if is_label(span, other):
            stated = one
            break
        timed = between and between[-1] in ("in", "on") and not describes
        if timed and span.unit(other.end) and UNITS[span.unit(other.end)] == "time":
            stated = one
            break
    results = len(found) > 1 and any(span.text(i) in RESULTS for i in range(found[-2].end, found[-1].start))
    if stated is found[-1] and not results and (roles_of(span, found)[-1] != "free" or _is_purpose(span, stated)):
        # "they spent $450 on 2 nights" · "made a profit of $56 from selling all 28 cupcakes" · "$60 to make 4 liters"
        stated = _behind_a_verb(span, found[:-1]) or stated
    if (
        len(found) == 2
        and stated is found[1]
        and _side_by_side(span, *found)
        and found[0].value
        and role_of(span, found[0]) == "free"
    ):
        between = [span.text(i) for i in range(found[0].end, found[1].start)]
        if "by" in between and len(between) <= 3:
            return None
    return stated


def _is_purpose(span: Span, one: Quantity) -> bool:
    """True for "to make 4 liters", but not "needs to buy 4 books" or "comes to 4"."""
    at = one.start - 2
    return span.text(at) == "to" and span.tokens[at + 1].kind == "word" and span.text(at - 1) not in VERBS | _WILL


def _behind_a_verb(span: Span, found: Sequence[Quantity]) -> Quantity | None:
    """The last quantity that is the object of a verb, or the subject of one: "56 chairs are needed"."""
    for one in reversed(found):
        if role_of(span, one) != "free" or one.calculated or one.value is None:
            continue
        before = [span.text(i) for i in range(max(0, one.start - REACH), one.start)]
        behind = [span.text(i) for i in range(one.end, one.end + REACH)]
        if set(before) & VERBS or (set(behind) & COPULAS and not set(before) & DETERMINERS):
            return one
    return None


def _first_stated(span: Span, free: list[Quantity]) -> Quantity | None:
    """The first free quantity after the verb; None if several are listed side by side."""
    verb = next((i for i in range(free[0].end, len(span.tokens)) if span.text(i) in VERBS), None)
    begins = next((i + 1 for i in range(free[0].start - 1, -1, -1) if span.text(i) == ","), 0)
    if verb is not None and not any(span.text(i) in VERBS for i in range(begins, free[0].start)):
        behind = [one for one in free if one.start > verb]
        free = behind or free
    if len(free) > 1 and _side_by_side(span, free[0], free[1]):
        return None
    return free[0]


def _is_total(span: Span, one: Quantity) -> bool:
    """True for "12 in total" and "12 altogether"."""
    if role_of(span, one) != "free":
        return False
    behind = [span.text(i) for i in range(one.end, one.end + REACH)]
    for at, text in enumerate(behind):
        if text in ("altogether", "combined", "overall", "total") or behind[at : at + 2] == ["in", "all"]:
            return True
        if text in DETERMINERS | {"of"} or text in (",", "and", ";", "("):
            break
    return False


def _side_by_side(span: Span, one: Quantity, other: Quantity) -> bool:
    """True if two quantities form an enumeration: "12 boys and 15 girls", "12 m by 8 m", "5 to 8"."""
    if one.value is not None and one.value == other.value:
        return False
    between = [span.text(i) for i in range(one.end, other.start)]
    return (bool(set(between) & JOINS) and len(between) <= 6) or (between in ([], ["-"]) and one.value is None)
