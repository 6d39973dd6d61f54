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
from crescent.answers.spelled import SCALES, STARTS, spelled
from crescent.answers.tokens import Token
from crescent.answers.values import canonical, fraction

_MOST_DEPTH = 12
_CURRENCY_SIGNS = "$€£¥₹"
CURRENCY_WORDS = frozenset(
    ["rs", "rm", "usd", "eur", "gbp", "chf", "inr", "cad", "aud", "sgd", "us", "r", "hk", "a", "c", "nt"]
)
_PLUS = {"+": "+", "-": "-", "plus": "+", "minus": "-"}
_TIMES = {"*": "*", "×": "*", "·": "*", "⋅": "*", "/": "/", "÷": "/", "x": "*", "times": "*"}
_MONEY_SCALES = {"m": 10**6, "mn": 10**6, "b": 10**9, "bn": 10**9, "t": 10**12}
_UNIT_LETTERS = frozenset("m g s h l k t f d w v j")
_VARIABLES = frozenset(["a", "b", "c", "e", "i", "k", "n", "p", "q", "r", "t", "w", "x", "y", "z", "u", "v", "s", "m"])
_FACTORS = (
    "\\sqrt",
    "\\frac",
    "\\log",
    "\\ln",
    "\\sin",
    "\\cos",
    "\\tan",
    "\\theta",
    "\\alpha",
    "\\beta",
    "\\binom",
    "\\phi",
)
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
        self._tokens, self._words = tokens, words
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
        return Quantity(value, at, end, self._calculated, self._money, self._span, self._exclaimed)

    def _text(self, at: int) -> str:
        return self._tokens[at].text if at < len(self._tokens) else ""

    def _touches(self, at: int) -> bool:
        """True if token `at` directly follows the previous one."""
        return 0 < at < len(self._tokens) and self._tokens[at - 1].end == self._tokens[at].start

    def _sum(self, at: int, depth: int) -> tuple[Value, int] | None:
        left = self._product(at, depth)
        while left and (sign := _PLUS.get(self._text(left[1]))):
            value, end = left
            right = self._product(end + 1, depth)
            if right is None:
                break
            if sign == "-" and depth == 0 and self._touches(end) and self._touches(end + 1):
                self._span = True  # 5-7 is a range
                return None, right[1]
            self._calculated = True
            left = combined(value, right[0], lambda a, b, s=sign: a + b if s == "+" else a - b), right[1]
        return left

    def _product(self, at: int, depth: int) -> tuple[Value, int] | None:
        left = self._power(at, depth)
        while left:
            value, end = left
            sign, following = self._factor_sign(end)
            right = self._power(following, depth) if sign else None
            if right is None:
                break
            self._calculated |= sign != "/" or right[1] - end > 2  # 3/4 is a numeral
            left = combined(value, right[0], multiplied if sign == "*" else divided), right[1]
        return left

    def _factor_sign(self, end: int) -> tuple[str, int]:
        """The operator that joins the next factor, and where the factor begins: "×", "multiplied by", or none, as in
        2(3 + 7)."""
        text = self._text(end)
        if text in _TIMES and (text != "x" or (end + 1 < len(self._tokens) and self._tokens[end + 1].kind == "number")):
            return _TIMES[text], end + 1
        if text in ("multiplied", "divided") and self._text(end + 1) == "by":
            return "*" if text == "multiplied" else "/", end + 2
        if text in ("π", "√") or text.startswith(_FACTORS):
            return "*", end
        if (text == "(" and self._touches(end)) or self._is_variable(end):
            return "*", end
        unit = end
        while unit < end + 3 and unit < len(self._tokens) and self._tokens[unit].kind == "word":
            unit += 1
        if unit > end and self._text(unit) in ("×", "*", "÷", "·") and self._text(end) not in _PLUS:
            return _TIMES[self._text(unit)], unit + 1
        return "", end

    def _power(self, at: int, depth: int) -> tuple[Value, int] | None:
        if depth > _MOST_DEPTH:
            return None
        negative = False
        while (text := self._text(at)) in ("-", "+", "negative", "minus") or self._is_currency(at):
            negative ^= text in ("-", "negative", "minus")
            self._money |= text not in ("-", "+", "negative", "minus")
            at += 1
            if at >= len(self._tokens):
                return None
        found = self._atom(at, depth)
        if found is None:
            return None
        value, end = found
        if self._text(end) == "^":
            exponent = self._power(end + 1, depth + 1)
            if exponent:
                self._calculated = True
                value, end = combined(value, exponent[0], raised), exponent[1]
        if (self._text(end) == "!" and self._touches(end) and self._text(end + 1) not in ("=", "!")) or (
            self._text(end) == "!" and self._text(end + 1) == "=" and not self._touches(end + 1)
        ):
            self._exclaimed = value
            value, end = factorial(value), end + 1
        if negative:
            value = negated(value)
            self._exclaimed = negated(self._exclaimed)
        return value, end

    def _is_currency(self, at: int) -> bool:
        text = self._text(at)
        if text and text in _CURRENCY_SIGNS:
            return True
        follows = self._tokens[at + 1] if at + 1 < len(self._tokens) else None
        if follows is not None and follows.text == "." and at + 2 < len(self._tokens) and text == "rs":
            return False
        return (
            text in CURRENCY_WORDS
            and follows is not None
            and (
                (follows.kind == "number" and len(text) > 1) or (bool(follows.text) and follows.text in _CURRENCY_SIGNS)
            )
        )

    def _is_variable(self, at: int) -> bool:
        """True for a letter that touches a number (2x, 3n, not 5m) or is followed by "^"."""
        if at >= len(self._tokens) or self._tokens[at].kind != "word":
            return False
        word = self._tokens[at]
        if word.text not in _VARIABLES or len(word.raw) > 1:
            return False
        if self._touches(at) and word.text not in _UNIT_LETTERS and self._tokens[at - 1].text != "°":
            return True
        return self._text(at + 1) == "^" and self._touches(at + 1) and word.text in ("x", "y", "z", "n", "a", "b")

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
        at = end + (self._text(end) in ("and", "&", "-"))
        top, slash, bottom = self._tokens[at : at + 3] if at + 2 < len(self._tokens) else (None, None, None)
        if self._text(end) == "\\frac":
            part = self._command(self._tokens[end], end, _MOST_DEPTH - 1)
        elif top and slash and bottom and top.kind == bottom.kind == "number" and slash.text == "/":
            if at > end and self._text(end) == "-" and not (self._touches(end) and self._touches(at)):
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
        while (text := self._text(end)) in SCALES or text.removesuffix("s") in SCALES:
            if self._text(end + 1) == "-" and self._touches(end + 1):
                break
            scale, end = scale * SCALES[text.removesuffix("s")], end + 1
        if scale == 1 and self._money and self._text(end) in _MONEY_SCALES:
            scale, end = Fraction(_MONEY_SCALES[self._text(end)]), end + 1
        if self._text(end) in ("st", "nd", "rd", "th") and self._touches(end):
            end += 1
        while self._text(end) in _NOTHING:
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
            if self._text(at + 1) == "[" and self._text(at + 3) == "]":
                degree, at = self._text(at + 2), at + 3
            inner = self._atom(at + 1, depth + 1)
            return (root(inner[0], degree), inner[1]) if inner else (None, at + 1)
        return None, at + 1  # \log, \theta, ...

    def _word(self, token: Token, at: int, depth: int) -> tuple[Value, int] | None:
        if token.raw in ("C", "P") and self._text(at + 1) == "(" and self._text(at + 3) == ",":
            arguments = self._tokens[at + 2].value, self._tokens[at + 4].value if at + 4 < len(self._tokens) else None
            return combined(*arguments, combinations if token.raw == "C" else arrangements), at + 6
        if self._words and token.text in STARTS:
            found = spelled(self._tokens, at)
            if found:
                return self._scaled(canonical(found[0]), found[1])
        return (None, at + 1) if self._is_variable(at) else None

    def _group(self, at: int, depth: int) -> tuple[Value, int] | None:
        """Parses ( sum ) or { sum }; the value is None if it contains anything else."""
        if self._text(at) not in ("(", "{") or depth >= _MOST_DEPTH:
            return None
        inner = self._sum(at + 1, depth + 1)
        if inner and self._text(inner[1]) in (")", "}"):
            return inner[0], inner[1] + 1
        if inner and self._text(inner[1]) == "\\over":
            bottom = self._sum(inner[1] + 1, depth + 1)
            if bottom and self._text(bottom[1]) == "}":
                return combined(inner[0], bottom[0], divided), bottom[1] + 1
        return (None, self._closing(at)) if self._is_argument(at) else None

    def _is_argument(self, at: int) -> bool:
        """True if the braces at `at` belong to a command or an exponent; other braces only contain text."""
        before = self._text(at - 1) if at else ""
        return self._text(at) == "{" and (before.startswith("\\") or before in ("^", "}", "]"))

    def _closing(self, at: int) -> int:
        level = 0
        for index in range(at, len(self._tokens)):
            level += {"{": 1, "}": -1}.get(self._tokens[index].text, 0)
            if level == 0:
                return index + 1
        return len(self._tokens)


def rational(tokens: Sequence[Token]) -> Value:
    """Returns the canonical value of tokens that form exactly one quantity, otherwise None."""
    quantity = Grammar(tokens, words=False).quantity(0)
    return quantity.value if quantity and quantity.end == len(tokens) else None
