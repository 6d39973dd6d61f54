"""The quantities in a span of a response, in order.

In: text in plain notation (`plain`), and the position of the span. Out: its tokens, and the quantities that `Grammar`
finds in them, with compound quantities joined: "$12 and 50 cents", "2 hours and 15 minutes".
"""

from fractions import Fraction

from crescent.answers.lookahead import CURRENCY_WORDS
from crescent.answers.quantities import Grammar, Quantity
from crescent.answers.tokens import tokens
from crescent.answers.values import canonical, fraction
from crescent.answers.vocabulary import LARGE_MONEY, SMALL_MONEY, UNITS


class Span:
    """A part of a response. `marked`: the response marks it as its answer."""

    def __init__(self, text: str, start: int, end: int, marked: bool) -> None:
        self.source = text[start:end]
        self.tokens = tokens(text, start, end)
        self.texts = frozenset([token.text for token in self.tokens])
        self.start, self.end, self.marked = start, end, marked

    def text(self, at: int) -> str:
        return self.tokens[at].text if 0 <= at < len(self.tokens) else ""

    def quantities(self) -> list[Quantity]:
        """Returns the quantities in order. Number words count only at the beginning or if there are no digits."""
        has_digits = any(token.kind in ("number", "clock", "date") for token in self.tokens)
        found: list[Quantity] = []
        at = 0
        while at < len(self.tokens):
            token = self.tokens[at]
            quantity = None
            if token.kind == "word":
                early = at == 0 or (
                    at <= 2 and self.text(0) in ("about", "only", "just", "exactly", "minus", "negative")
                )
                if self.marked and (early or not has_digits) and not (token.text == "one" and not self._counts(at)):
                    quantity = Grammar(self.tokens).quantity(at)
                elif len(token.raw) == 1 or token.text in CURRENCY_WORDS or token.text in ("minus", "negative"):
                    quantity = Grammar(self.tokens, words=False).quantity(at)
            elif self.text(at - 1) == "^":
                pass  # the power of a unit: cm^2
            elif token.kind != "sign" or token.text in "($€£¥₹√π±∞+{" or (token.text == "-" and self._is_sign(at)):
                quantity = Grammar(self.tokens, words=not has_digits).quantity(at)
            if quantity is None or quantity.end <= at:
                at += 1
                continue
            if self.unit(quantity.end) and self._words(quantity.end + 1) == "and a half" and (value := quantity.value):
                whole = fraction(value)  # "1 hour and a half"
                quantity.value = canonical(whole + Fraction(1, 2)) if whole is not None else None
                quantity.end += 4
            found.append(quantity)
            at = quantity.end
        return self._compounds(found)

    def _words(self, at: int) -> str:
        return " ".join(self.text(i) for i in range(at, at + 3))

    def _counts(self, at: int) -> bool:
        """True if "one" is a number: "one half", "one dozen"; not "the one who" or "this one"."""
        following = self.text(at + 1)
        return at == 0 and following not in ("of", "who", "that", "with", "which", "can")

    def _is_sign(self, at: int) -> bool:
        """True if a dash is a minus sign: at the beginning, after "=" or after a word that it does not touch."""
        if at + 1 >= len(self.tokens):
            return False
        touches = self.tokens[at].end == self.tokens[at + 1].start
        if at == 0:
            return True
        before = self.tokens[at - 1]
        if before.kind == "word":
            return touches and before.end < self.tokens[at].start
        return before.text in "=:#,;<>|[~≈({→" or (touches and before.text in ".!?\"'")

    def _compounds(self, found: list[Quantity]) -> list[Quantity]:
        """Joins "$12 and 50 cents" into one quantity with a value, "2 hours and 15 minutes" into one without."""
        joined: list[Quantity] = []
        for quantity in found:
            before = joined[-1] if joined else None
            if before is not None:
                between = [
                    self.text(i) for i in range(before.end, quantity.start) if self.text(i) not in ("and", ",", "}")
                ]
                unit, following = self.unit(quantity.end), self.text(quantity.end)
                first = self.unit(before.end)
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
                if between == ["'"] and following in ('"', "'"):  # 5'4"
                    joined[-1] = Quantity(None, before.start, quantity.end + 1, span=True)
                    continue
                if between in (["remainder"], ["r"]) or (
                    before.end == quantity.start and self.text(quantity.start) == "±"
                ):
                    joined[-1] = Quantity(None, before.start, quantity.end)
                    continue
            joined.append(quantity)
        return joined

    def unit(self, at: int) -> str:
        text = self.text(at)
        if text == "{":
            text = self.text(at + 1)
        if text not in UNITS and self.text(at - 1) == "°":
            return "°"
        return text if text in UNITS else ""
