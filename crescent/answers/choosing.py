"""Which quantity of a committed span answers: "Each of the 8 friends pays $15." 15.

In: text that `plain` has been through, and where the span lies. Out: a `Reading`: whether the span holds quantities at
all, and the canonical value of the one that answers; None where several do (a pair, a range, two lengths) or where it
has no rational value.

Every quantity of a sentence has a role, which the words before and behind it decide:

    free           what the sentence states: "pays $15"
    given          part of what is spoken of: "the 8 friends", "her 3 cats"
    circumstance   when, where, for what: "after 6 weeks", "day 7", "5 more than 12"
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from crescent.answers.quantities import CURRENCY_WORDS, Grammar, Quantity
from crescent.answers.spelled import SCALES
from crescent.answers.tokens import tokens
from crescent.answers.values import canonical, fraction
from crescent.answers.vocabulary import (
    CONCLUDES,
    DETERMINERS,
    EQUALS,
    JOINS,
    LABELS,
    LARGE_MONEY,
    LEADING,
    MEASURES,
    MONTHS,
    NEGATIONS,
    NO_EQUATION,
    NOT_POSSESSIVE,
    PREPOSITIONS,
    SMALL_MONEY,
    TRAILING,
    UNITS,
    VERBS,
)

Role = Literal["free", "given", "circumstance"]

_PAIR = re.compile(
    r"[\s$]*(?:[A-Za-z]\s?=\s?|[Tt]he \w{1,20} (?:is|are) )?[\s$]*[(\[{][^()\[\]{}\n]{0,80}[,;][^()\[\]\n]{0,120}[)\]}]"
)
_PARTS = re.compile(r"(?:^|[\s,;])(?:\(([a-h1-9]|i{1,3}|iv)\)|([a-h1-9])[).](?!\d))(?=\s)")
_ONE_OF = re.compile(r"\d\s*(?:(?:\w+ )?out of|in) (?:every )?\d+\W*(?:\w+\W*)?$")
_LISTED = re.compile(r"-?\d[\d,.]*(?: \([^()\d]{1,20}\))?(?:; -?\d[\d,.]*(?: \([^()\d]{1,20}\))?){1,9}")
_CALENDAR_DAY = re.compile(
    r"(?:january|february|march|april|may|june|july|august|september|october|november|december) \d{1,2}(?:st|nd|rd|th)"
)
_UNKNOWN = re.compile(r"(?<![\w)\\])([A-Za-z])\s*=\s*-?[$€£]?\d")
_BRACKETED = re.compile(r"\([^()]{0,120}\)")
# "18", "$1,250", "138 lines of text.": by far the most frequent forms, read without a grammar
_BARE_NUMBER = re.compile(
    r"[$€£]?([1-9]\d{0,2}(?:,\d{3}){1,4}|\d{1,15})(?: (?P<unit>[A-Za-z]{2,16})(?:[ ,'/][A-Za-z ,'/]{0,200})?)?\.?[\s*]*"
)
_NO_UNIT = (
    SCALES.keys()
    | {f"{name}s" for name in SCALES}
    | {"times", "plus", "minus", "divided", "multiplied", "and", "point", "am", "pm", "or"}
)


_NO_FAST_UNIT = _NO_UNIT | MONTHS


@dataclass(frozen=True, slots=True)
class Reading:
    """`quantities` of the span; `value` of the one that answers; `end`: where in the text it ends."""

    quantities: int
    value: str | None
    end: int
    direct: bool = False  # little stands before the quantity


def read(text: str, start: int, end: int, exclaims: bool = False, marked: bool = True) -> Reading:
    """What the span `text[start:end]` states. `exclaims`: a "!" at its end is an exclamation and no factorial.

    `marked`: whether the response marks the span as its answer. Of an unmarked sentence the last number counts, where
    no clause that explains or compares follows, and numbers in words count for nothing.
    """
    simple = _BARE_NUMBER.fullmatch(text, start, end)
    if simple and not (simple["unit"] and simple["unit"].lower() in _NO_FAST_UNIT):
        return Reading(1, simple[1].replace(",", "").lstrip("0") or "0", simple.end(1), True)
    span = text[start:end].strip(" *_.$")
    if _LISTED.fullmatch(span):
        return Reading(2, re.sub(r" \([^()]*\)|,(?=\d{3})", "", span), end, True)
    if _CALENDAR_DAY.fullmatch(span.lower()):
        return Reading(1, span.lower(), end, True)
    several = _PAIR.match(text, start, end) or (
        (")" in span or ". " in span) and ("=" not in span and len(_PARTS.findall(span)) > 1)
    )
    if several and any(map(str.isdigit, span)):
        return Reading(2, None, end)
    return _Span(text, start, end, exclaims, marked).reading()


class _Span:
    """The tokens of one span and the quantities among them."""

    def __init__(self, text: str, start: int, end: int, exclaims: bool, marked: bool) -> None:
        self._source, self._exclaims = text, exclaims
        self._tokens = tokens(text, start, end)
        self._texts = frozenset([token.text for token in self._tokens])
        self._end = end
        self._span_text = text[start:end]
        self._marked = marked

    def reading(self) -> Reading:
        found = self._found()
        if not found:
            return Reading(0, None, self._end)
        if _ONE_OF.search(self._span_text.strip(" .*$")) and len(found) == 2 and found[0].start == 0:
            return Reading(2, None, self._end)
        chosen = self._chosen(found)
        last = found[-1] if chosen is None else chosen
        value = None if chosen is None else chosen.value
        if chosen is not None and chosen.calculated and not self._marked:  # nobody says that this is the answer
            value = next((one.value for one in reversed(self._tokens) if one.kind == "number"), None)
        if chosen is not None and chosen.exclaimed and (self._exclaims or chosen.money or len(self._tokens) > 6):
            value = chosen.exclaimed
        end = self._tokens[last.end - 1].end if last.end <= len(self._tokens) else self._end
        return Reading(len(found), value, end, last.start <= 2)

    def _text(self, at: int) -> str:
        return self._tokens[at].text if 0 <= at < len(self._tokens) else ""

    def _found(self) -> list[Quantity]:
        """The quantities of the span, in order; number words only at its beginning or where there are no digits."""
        has_digits = any(token.kind in ("number", "clock", "date") for token in self._tokens)
        found: list[Quantity] = []
        at = 0
        while at < len(self._tokens):
            token = self._tokens[at]
            quantity = None
            if token.kind == "word":
                early = at == 0 or (
                    at <= 2 and self._text(0) in ("about", "only", "just", "exactly", "minus", "negative")
                )
                if self._marked and (early or not has_digits) and not (token.text == "one" and not self._counts(at)):
                    quantity = Grammar(self._tokens).quantity(at)
                elif len(token.raw) == 1 or token.text in CURRENCY_WORDS or token.text in ("minus", "negative"):
                    quantity = Grammar(self._tokens, words=False).quantity(at)
            elif self._text(at - 1) == "^":
                pass  # the power of a unit: cm^2
            elif token.kind != "sign" or token.text in "($€£¥₹√π±∞+{" or (token.text == "-" and self._is_sign(at)):
                quantity = Grammar(self._tokens, words=not has_digits).quantity(at)
            if quantity is None or quantity.end <= at:
                at += 1
                continue
            found.append(quantity)
            at = quantity.end
        return self._compounds(found)

    def _counts(self, at: int) -> bool:
        """Whether "one" is a number: "one half", "one dozen", not "the one who" or "this one"."""
        following = self._text(at + 1)
        return at == 0 and following not in ("of", "who", "that", "with", "which", "can")

    def _is_sign(self, at: int) -> bool:
        """Whether a dash is a sign: at the beginning, after "=" or a word that it does not touch."""
        if at + 1 >= len(self._tokens):
            return False
        touches = self._tokens[at].end == self._tokens[at + 1].start
        if at == 0:
            return True
        before = self._tokens[at - 1]
        if before.kind == "word":
            return touches and before.end < self._tokens[at].start
        return before.text in "=:#,;<>|[~≈({→" or (touches and before.text in ".!?\"'")

    def _compounds(self, found: list[Quantity]) -> list[Quantity]:
        """ "$12 and 50 cents" is one quantity with a value, "2 hours and 15 minutes" one without."""
        joined: list[Quantity] = []
        for quantity in found:
            before = joined[-1] if joined else None
            if before is not None:
                between = [
                    self._text(i) for i in range(before.end, quantity.start) if self._text(i) not in ("and", ",", "}")
                ]
                unit, following = self._unit(quantity.end), self._text(quantity.end)
                first = self._unit(before.end)
                if following in SMALL_MONEY and ((before.money and not between) or " ".join(between) in LARGE_MONEY):
                    cents = fraction(quantity.value or ":")
                    whole = fraction(before.value or ":")
                    if cents is not None and whole is not None:
                        joined[-1] = Quantity(
                            canonical(whole + cents / 100), before.start, quantity.end + 1, money=True
                        )
                        continue
                same = first and unit and UNITS.get(first) == UNITS.get(unit) and first.rstrip("s") != unit.rstrip("s")
                if same and len(between) <= 1:
                    joined[-1] = Quantity(None, before.start, quantity.end + 1, span=True)
                    continue
                if between in (["remainder"], ["r"]) or (
                    before.end == quantity.start and self._text(quantity.start) == "±"
                ):
                    joined[-1] = Quantity(None, before.start, quantity.end)
                    continue
            joined.append(quantity)
        return joined

    def _unit(self, at: int) -> str:
        text = self._text(at)
        if text == "{":
            text = self._text(at + 1)
        if text not in UNITS and self._text(at - 1) == "°":
            return "°"
        return text if text in UNITS else ""

    def _chosen(self, found: list[Quantity]) -> Quantity | None:
        """The quantity that answers; None where none does or several do."""
        found = [one for one in found if not self._is_negated(one)] or found
        found = [one for one in found if not self._is_date(one)]
        if not found:
            return None
        if self._texts & NO_EQUATION and not self._texts & VERBS:
            return None
        if self._texts & EQUALS:
            signs = [i for i, token in enumerate(self._tokens) if token.text in EQUALS]
            return self._equation(found, signs)
        if len(found) == 1:
            return found[0]
        return self._sentence(found)

    def _is_negated(self, one: Quantity) -> bool:
        before = self._text(one.start - 1)
        return (
            before in NEGATIONS
            or (before == "than" and self._text(one.start - 2) in ("rather",))
            or (before == "of" and self._text(one.start - 2) == "instead")
            or (before in ("at", "is", "for") and self._text(one.start - 2) == "not")
        )

    def _is_date(self, one: Quantity) -> bool:
        if one.end - one.start == 1 and self._tokens[one.start].kind == "date":
            return True
        near = [self._text(one.start - 1), self._text(one.end)]
        if self._text(one.start - 1) == "," or near[0] in ("the", "of"):
            near.append(self._text(one.start - 3))
        return any(word in MONTHS for word in near) or (
            "may" in self._texts
            and any(
                token.raw == "May" and (index == one.start - 1 or index == one.end)
                for index, token in enumerate(self._tokens)
            )
        )

    def _equation(self, found: list[Quantity], signs: Sequence[int]) -> Quantity | None:
        """Of 5 + 7 = 12 the 12, of 12 = 5 + 7 too; of x = 2, y = 7 none."""
        first = signs[0]
        explained = [one for one in found if one.end <= first]
        if (
            explained
            and any(self._text(i) in TRAILING or self._text(i) == "(" for i in range(explained[0].end, first))
            and not any(self._text(i) in EQUALS for i in range(explained[0].end))
            and self._text(0) not in LEADING
        ):
            return self._sentence([one for one in explained if not self._behind_cut(one, explained[0])])
        unknowns = _UNKNOWN.findall(self._span_text)
        if len(unknowns) > 1 and not any(token.text in CONCLUDES or token.text == "→" for token in self._tokens):
            return None
        last = signs[-1]
        right = [one for one in found if one.start > last]
        left = [one for one in found if one.end <= first]
        if (
            (
                right
                and right[0].end - right[0].start > 1
                and len(signs) == 1
                and len(left) == 1
                and not left[0].calculated
                and left[0].value
            )
            and left[0].end == first
            and left[0].start == 0
        ):
            return left[0]
        while not right and last > first:
            last = signs[signs.index(last) - 1]
            right = [one for one in found if one.start > last]
        if not right:
            return self._sentence(left) if left and left[-1].end == first else None
        if len(right) == 1:
            return right[0]
        if any(self._text(i) in (",", "and", "or", "±") for i in range(right[0].end, right[1].start)) and (
            right[1].start - right[0].end <= 2
        ):
            return None
        return right[0] if self._text(right[0].end) not in CONCLUDES else self._sentence(right)

    def _behind_cut(self, one: Quantity, first: Quantity) -> bool:
        return any(self._text(i) in TRAILING or self._text(i) == "(" for i in range(first.end, one.start))

    def _sentence(self, found: list[Quantity]) -> Quantity | None:
        if not self._marked and self._text(0) == "to":  # "To find the cost, we multiply 3 by 5": a plan
            return found[-1]
        found = self._main_clause(found)
        if not self._marked:
            return self._last_stated(found)
        if len(found) == 1:
            return found[0]
        roles = self._roles(found)
        free = [one for one, role in zip(found, roles, strict=True) if role == "free"]
        if self._is_range(found, free):
            return None
        if not free:
            clocks = [one for one in found if self._tokens[one.start].kind == "clock"]
            money = [one for one in found if one.money]
            rest = [
                one
                for one, role in zip(found, roles, strict=True)
                if role == "circumstance" and not self._is_label(one)
            ]
            return (clocks or money or rest or found)[0]
        return self._first_stated(free)

    def _is_range(self, found: Sequence[Quantity], free: Sequence[Quantity]) -> bool:
        """5 to 8 days · between 5 and 7 · 12 m by 8 m, where nothing else is stated."""
        one, other = next(((a, b) for a, b in pairwise(found) if not free or a is free[0] or b is free[0]), found[:2])
        between = [self._text(i) for i in range(one.end, other.start)]
        if len(free) > 1 or not set(between) & {"to", "by", "x", "×", "and"} or len(between) > 3:
            return False
        if between[-1] in ("to", "by", "x", "×") and len(found) == 2:
            return self._role(one) == "free" or self._text(one.start - 1) in ("from", "of")
        return self._text(one.start - 1) == "between" and (not free or other is free[0])

    def _main_clause(self, found: list[Quantity]) -> list[Quantity]:
        """Without the clause that leads in ("After 2 stops, ...") and those that explain ("..., because 3 + 4")."""
        if self._text(0) in LEADING:
            comma = next((i for i in range(len(self._tokens)) if self._text(i) == ","), len(self._tokens))
            found = [one for one in found if one.start > comma] or found
        for sign in range(found[0].end, len(self._tokens)):
            text = self._text(sign)
            if text in ("(", ";") or text in CONCLUDES:
                later = [one for one in found if one.start > sign]
                earlier = [one for one in found if one.end <= sign]
                if (
                    text in CONCLUDES
                    and later
                    and (
                        found[0].calculated
                        or found[0].value is None
                        or (self._text(0) not in ("",) and found[0].start > 0)
                    )
                ):
                    return later
                if earlier and any(role == "free" for role in self._roles(earlier)):
                    return earlier
        if found[0].calculated and len(found) > 1:
            between = [self._text(i) for i in range(found[0].end, found[1].start)]
            if set(between) & {"which", "is", "or", "so", "makes", "gives", "equals", "equal", "are"}:
                return found[1:2]
        return self._before_trailing(found)

    def _before_trailing(self, found: list[Quantity]) -> list[Quantity]:
        for sign in range(found[0].end, len(self._tokens)):
            text = self._text(sign)
            if text in TRAILING or (
                text == "to" and self._marked and sign + 1 < len(self._tokens) and self._tokens[sign + 1].kind == "word"
            ):
                earlier = [one for one in found if one.end <= sign]
                if any(role == "free" for role in self._roles(earlier)):
                    return earlier
        return found

    def _roles(self, found: Sequence[Quantity]) -> list[Role]:
        roles: list[Role] = []
        for index, one in enumerate(found):
            role = self._role(one)
            before = self._text(one.start - 1)
            if role == "free" and index and roles[-1] != "free" and before in ("and", ",", "or"):
                between = [self._text(i) for i in range(found[index - 1].end, one.start)]
                if not set(between) & VERBS and "," not in between:
                    role = roles[-1]
            roles.append(role)
        return roles

    def _role(self, one: Quantity) -> Role:
        before, following = self._text(one.start - 1), self._text(one.end)
        if self._is_label(one) or self._compares(one):
            return "circumstance"
        if following == "-" and one.end + 1 < len(self._tokens) and self._tokens[one.end + 1].kind == "word":
            return "circumstance"  # a 30-minute episode
        if before == "of":
            stated = self._text(one.start - 2) in MEASURES and (
                self._text(one.start - 3) in ("a", "an", "in") or one.money
            )
            return "free" if stated else "circumstance"
        if before in PREPOSITIONS or (before == "to" and self._text(one.start - 2) not in VERBS):
            return "circumstance"
        if before in DETERMINERS or (before.endswith("'s") and before not in NOT_POSSESSIVE):
            return "given"
        return "free"

    def _is_label(self, one: Quantity) -> bool:
        return self._text(one.start - 1) in LABELS and self._tokens[one.start].kind == "number" and not one.money

    def _compares(self, one: Quantity) -> bool:
        """5 more than 12 · 3 times as many · 20% off"""
        words = [self._text(i) for i in range(one.end, one.end + 5)]
        if words[0] == "times" and words[1] in ("as", "more", "the", "that"):
            return True
        return any(
            a in ("more", "less", "fewer", "older", "younger", "taller") and b == "than" for a, b in pairwise(words)
        )

    def _last_stated(self, found: Sequence[Quantity]) -> Quantity | None:
        """Of an unmarked sentence: the last number, but not the time or the thing that a clause behind a comma adds."""
        stated = found[-1]
        for one, other in pairwise(found):
            between = [self._text(i) for i in range(one.end, other.start)]
            behind = between[between.index(",") + 1 :][:1] if "," in between else []
            if (behind and (behind[0] in PREPOSITIONS | TRAILING or behind[0].endswith("ing"))) or self._is_label(
                other
            ):
                stated = one
                break
            if (
                between
                and between[-1] in ("in", "on")
                and self._unit(other.end)
                and UNITS[self._unit(other.end)] == "time"
            ):
                stated = one
                break
        if (
            len(found) == 2
            and stated is found[1]
            and self._side_by_side(*found)
            and found[0].value
            and self._role(found[0]) == "free"
        ):
            between = [self._text(i) for i in range(found[0].end, found[1].start)]
            if "by" in between and len(between) <= 3:
                return None
        return stated

    def _first_stated(self, free: list[Quantity]) -> Quantity | None:
        """The first free quantity behind the verb; None where several stand side by side."""
        verb = next((i for i in range(free[0].end, len(self._tokens)) if self._text(i) in VERBS), None)
        if verb is not None and not any(self._text(i) in VERBS for i in range(free[0].start)):
            behind = [one for one in free if one.start > verb]
            free = behind or free
        if len(free) > 1 and self._side_by_side(free[0], free[1]):
            return None
        return free[0]

    def _side_by_side(self, one: Quantity, other: Quantity) -> bool:
        """Whether two quantities are an enumeration: "12 boys and 15 girls", "12 m by 8 m", "5 to 8"."""
        if one.value is not None and one.value == other.value:
            return False
        between = [self._text(i) for i in range(one.end, other.start)]
        return (bool(set(between) & JOINS) and len(between) <= 6) or (between in ([], ["-"]) and one.value is None)
