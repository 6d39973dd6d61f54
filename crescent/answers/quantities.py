"""A small grammar of quantities over tokens, with exact values.

    sum      product { (+ | -) product }             12 + 3 · 10 plus 5
    product  power { (× | / | times | nothing) power } 30/2 · 1.5 × 10^3 · 2(3 + 7)
    power    [-] atom [^ power] [!]                  2^10 · 5! · 9.8
    atom     numeral [numeral / numeral]             5 · 2 3/4 · 2-3/4
           | number words                            two and a half
           | \\frac{sum}{sum} | \\sqrt[n]{sum} | \\binom{sum}{sum} | C(sum, sum) | ( sum ) | { sum }

A quantity without a rational value (\\sqrt{3}, 5π, 2x, a date, the range 5-7) has the value None.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from crescent.answers.arithmetic import (
    Value,
    arrangements,
    combinations,
    combined,
    divided,
    factorial,
    multiplied,
    negated,
    raised,
    root,
)
from crescent.answers.lookahead import PLUS, TokenView
from crescent.answers.spelled import SCALES, STARTS, spelled
from crescent.answers.tokens import Token
from crescent.answers.values import canonical, fraction

_MOST_DEPTH = 12
_MONEY_SCALES = {"m": 10**6, "mn": 10**6, "b": 10**9, "bn": 10**9, "t": 10**12}
_NOTHING = frozenset(["°", "%"])


@dataclass(slots=True)
class Quantity:
    """Tokens `start` to `end`. `calculated`: from several numbers; `span`: a range such as 5-7."""

    value: Value
    start: int
    end: int
    calculated: bool = False
    money: bool = False
    span: bool = False
    exclaimed: Value = None  # value without a "!" that may be only an exclamation mark


class Grammar:
    """Parses quantities from tokens. `words`: number words count too."""

    def __init__(self, tokens: Sequence[Token], words: bool = True) -> None:
        self._tokens, self._words, self._view = tokens, words, TokenView(tokens)
        self._calculated = self._money = self._span = False
        self._exclaimed: Value = None

    def quantity(self, at: int) -> Quantity | None:
        """Returns the quantity that begins at token `at`, including its sign, or None."""
        self._calculated = self._money = self._span = False
        self._exclaimed = None
        found = self._sum(at, 0)
        if found is None:
            return None
        value, end = found
        if self._view.text(end - 1) != "!":
            self._exclaimed = None
        return Quantity(value, at, end, self._calculated, self._money, self._span, self._exclaimed)

    def _sum(self, at: int, depth: int) -> tuple[Value, int] | None:
        left = self._product(at, depth)
        while left and (sign := PLUS.get(self._view.text(left[1]))):
            value, end = left
            right = self._product(end + 1, depth)
            if right is None:
                break
            if sign == "-" and depth == 0 and self._view.touches(end) and self._view.touches(end + 1):
                self._span = True  # 5-7 is a range
                return None, right[1]
            self._calculated = True
            left = combined(value, right[0], lambda a, b, s=sign: a + b if s == "+" else a - b), right[1]
        return left

    def _product(self, at: int, depth: int) -> tuple[Value, int] | None:
        left = self._power(at, depth)
        while left:
            value, end = left
            sign, following = self._view.factor_sign(end)
            right = self._power(following, depth) if sign else None
            if right is None:
                break
            self._calculated |= sign != "/" or right[1] - end > 2  # 3/4 is a numeral
            left = combined(value, right[0], multiplied if sign == "*" else divided), right[1]
        return left

    def _power(self, at: int, depth: int) -> tuple[Value, int] | None:
        if depth > _MOST_DEPTH:
            return None
        negative = False
        while (text := self._view.text(at)) in ("-", "+", "negative", "minus") or self._view.is_currency(at):
            negative ^= text in ("-", "negative", "minus")
            self._money |= text not in ("-", "+", "negative", "minus")
            at += 1
            if at >= len(self._tokens):
                return None
        found = self._atom(at, depth)
        if found is None:
            return None
        value, end = found
        if self._view.text(end) == "^":
            exponent = self._power(end + 1, depth + 1)
            if exponent:
                self._calculated = True
                value, end = combined(value, exponent[0], raised), exponent[1]
        if (self._view.text(end) == "!" and self._view.touches(end) and self._view.text(end + 1) not in ("=", "!")) or (
            self._view.text(end) == "!" and self._view.text(end + 1) == "=" and not self._view.touches(end + 1)
        ):
            self._exclaimed = value
            value, end = factorial(value), end + 1
        if negative:
            value = negated(value)
            self._exclaimed = negated(self._exclaimed)
        return value, end

    def _atom(self, at: int, depth: int) -> tuple[Value, int] | None:
        if at >= len(self._tokens):
            return None
        token = self._tokens[at]
        if token.kind in ("clock", "date"):
            return token.value, at + 1
        if token.kind == "number":
            return self._scaled(*self._mixed(token.value, at + 1))
        if token.kind == "command":
            return self._command(token, at, depth)
        if token.text in ("π", "∞", "±"):
            return None, at + 1
        if token.kind == "word":
            return self._word(token, at, depth)
        if token.text in ("(", "{"):
            return self._group(at, depth)
        if token.text == "√":
            inner = self._atom(at + 1, depth + 1)
            return (root(inner[0], "2"), inner[1]) if inner else None
        return None

    def _mixed(self, whole: Value, end: int) -> tuple[Value, int]:
        """2 3/4 · 2-3/4 · 3 and 1/2 · 2\\frac{1}{4}"""
        at = end + (self._view.text(end) in ("and", "&", "-"))
        top, slash, bottom = self._tokens[at : at + 3] if at + 2 < len(self._tokens) else (None, None, None)
        if self._view.text(end) == "\\frac":
            part = self._command(self._tokens[end], end, _MOST_DEPTH - 1)
        elif top and slash and bottom and top.kind == bottom.kind == "number" and slash.text == "/":
            if at > end and self._view.text(end) == "-" and not (self._view.touches(end) and self._view.touches(at)):
                return whole, end
            part = combined(top.value, bottom.value, divided), at + 3
        else:
            return whole, end
        number, share = fraction(whole or ":"), fraction((part[0] if part else None) or ":")
        if part is None or number is None or share is None or not 0 < share < 1 or number.denominator != 1:
            return whole, end
        return canonical(number + share), part[1]

    def _scaled(self, value: Value, end: int) -> tuple[Value, int]:
        """Applies a scale: 2.5 million · $3M · 6th · 50%; in "5 million-dollar homes" the number is 5."""
        scale = Fraction(1)
        if self._view.text(end) == "{" and self._view.text(end + 1) in SCALES and self._view.text(end + 2) == "}":
            return combined(value, canonical(Fraction(SCALES[self._view.text(end + 1)])), multiplied), end + 3
        while (text := self._view.text(end)) in SCALES or text.removesuffix("s") in SCALES:
            if self._view.text(end + 1) == "-" and self._view.touches(end + 1):
                break
            scale, end = scale * SCALES[text.removesuffix("s")], end + 1
        if scale == 1 and self._money and self._view.text(end) in _MONEY_SCALES:
            scale, end = Fraction(_MONEY_SCALES[self._view.text(end)]), end + 1
        if self._view.text(end) in ("st", "nd", "rd", "th") and self._view.touches(end):
            end += 1
        while self._view.text(end) in _NOTHING:
            end += 1
        return (value if scale == 1 else combined(value, canonical(scale), multiplied)), end

    def _command(self, token: Token, at: int, depth: int) -> tuple[Value, int] | None:
        name = token.text
        if name in ("\\frac", "\\binom", "\\dbinom", "\\tbinom"):
            top = self._group(at + 1, depth)
            bottom = self._group(top[1], depth) if top else None
            if top is None or bottom is None:
                return None, at + 1
            return combined(top[0], bottom[0], divided if name == "\\frac" else combinations), bottom[1]
        if name == "\\sqrt":
            degree = "2"
            if self._view.text(at + 1) == "[" and self._view.text(at + 3) == "]":
                degree, at = self._view.text(at + 2), at + 3
            inner = self._atom(at + 1, depth + 1)
            return (root(inner[0], degree), inner[1]) if inner else (None, at + 1)
        return None, at + 1  # \log, \theta, ...

    def _word(self, token: Token, at: int, depth: int) -> tuple[Value, int] | None:
        if token.raw in ("C", "P") and self._view.text(at + 1) == "(" and self._view.text(at + 3) == ",":
            arguments = self._tokens[at + 2].value, self._tokens[at + 4].value if at + 4 < len(self._tokens) else None
            return combined(*arguments, combinations if token.raw == "C" else arrangements), at + 6
        if self._words and token.text in STARTS:
            found = spelled(self._tokens, at)
            if found:
                return self._scaled(canonical(found[0]), found[1])
        return (None, at + 1) if self._view.is_variable(at) else None

    def _group(self, at: int, depth: int) -> tuple[Value, int] | None:
        """Parses ( sum ) or { sum }; the value is None if it contains anything else."""
        if self._view.text(at) not in ("(", "{") or depth >= _MOST_DEPTH:
            return None
        inner = self._sum(at + 1, depth + 1)
        if inner and self._view.text(inner[1]) in (")", "}"):
            return inner[0], inner[1] + 1
        if inner and self._view.text(inner[1]) == "\\over":
            bottom = self._sum(inner[1] + 1, depth + 1)
            if bottom and self._view.text(bottom[1]) == "}":
                return combined(inner[0], bottom[0], divided), bottom[1] + 1
        return (None, self._view.closing(at)) if self._view.is_argument(at) else None


def rational(tokens: Sequence[Token]) -> Value:
    """Returns the canonical value of tokens that form exactly one quantity, otherwise None."""
    quantity = Grammar(tokens, words=False).quantity(0)
    return quantity.value if quantity and quantity.end == len(tokens) else None
