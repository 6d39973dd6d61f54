"""Lookups in tokens for the grammar in `quantities`: currencies, variables, adjacency, the sign before the next factor.

In: tokens and an index. Out: True or False, a text, or an index. No values are computed here.
"""

from collections.abc import Sequence

from crescent.answers.tokens import Token

_CURRENCY_SIGNS = "$€£¥₹"
CURRENCY_WORDS = frozenset(
    ["rs", "rm", "usd", "eur", "gbp", "chf", "inr", "cad", "aud", "sgd", "us", "r", "hk", "a", "c", "nt"]
)
PLUS = {"+": "+", "-": "-", "plus": "+", "minus": "-"}
_TIMES = {"*": "*", "×": "*", "·": "*", "⋅": "*", "/": "/", "÷": "/", "x": "*", "times": "*"}
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


class TokenView:
    """Lookups in a sequence of tokens. An index beyond its end has the text ""."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self._tokens = tokens

    def text(self, at: int) -> str:
        return self._tokens[at].text if at < len(self._tokens) else ""

    def touches(self, at: int) -> bool:
        """True if token `at` directly follows the previous one."""
        return 0 < at < len(self._tokens) and self._tokens[at - 1].end == self._tokens[at].start

    def factor_sign(self, end: int) -> tuple[str, int]:
        """The operator that joins the next factor, and where the factor begins: "×", "multiplied by", or none, as in
        2(3 + 7)."""
        text = self.text(end)
        if text in _TIMES and (text != "x" or (end + 1 < len(self._tokens) and self._tokens[end + 1].kind == "number")):
            return _TIMES[text], end + 1
        if text in ("multiplied", "divided") and self.text(end + 1) == "by":
            return "*" if text == "multiplied" else "/", end + 2
        if text == "\\frac" and self._is_unit(end + 1):
            return "", end
        if text in ("π", "√") or text.startswith(_FACTORS):
            return "*", end
        if (text == "(" and self.touches(end)) or self.is_variable(end):
            return "*", end
        unit = end
        while unit < end + 3 and unit < len(self._tokens) and self._tokens[unit].kind == "word":
            unit += 1
        if unit > end and self.text(unit) in ("×", "*", "÷", "·") and self.text(end) not in PLUS:
            return _TIMES[self.text(unit)], unit + 1
        return "", end

    def _is_unit(self, at: int) -> bool:
        """True if two groups of a fraction are units: \\frac{m}{s^2}."""
        inside = [self.text(i) for i in range(at, self.closing(at)) if self.text(i) not in ("{", "}")]
        below = self.closing(at)
        under = [self.text(i) for i in range(below, self.closing(below)) if self.text(i) not in ("{", "}")]
        return all(
            part and part[0].isalpha() and (len(part[0]) > 1 or part[0] in _UNIT_LETTERS) for part in (inside, under)
        )

    def is_currency(self, at: int) -> bool:
        """True for a currency sign, or a currency word before a number or sign: "Rs 5", "US$5"; not "rs."."""
        text = self.text(at)
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

    def is_variable(self, at: int) -> bool:
        """True for a letter that touches a number (2x, 3n, not 5m) or is followed by "^"."""
        if at >= len(self._tokens) or self._tokens[at].kind != "word":
            return False
        word = self._tokens[at]
        if word.text not in _VARIABLES or len(word.raw) > 1:
            return False
        if at == 0 or self._tokens[at - 1].text in ("=", ":", "(", "{"):
            spaced = self.text(at + 1) in ("+", "-", "×", "·") and word.text in ("x", "y", "z", "n", "k", "t")
            product = self.text(at + 1) == "(" and self.text(at + 3) in ("+", "-")
            joined = self.text(at + 1) in ("/", "*", "^", "+", "-") or product
            joined = joined and self.touches(at + 1) and word.text not in ("a", "i")
            if (spaced or joined) and at + 2 < len(self._tokens):
                return True
        if self.touches(at) and word.text not in _UNIT_LETTERS and self._tokens[at - 1].text not in ("°", "."):
            return True
        return self.text(at + 1) == "^" and self.touches(at + 1) and word.text in ("x", "y", "z", "n", "a", "b")

    def is_argument(self, at: int) -> bool:
        """True if the braces at `at` belong to a command or an exponent; other braces only contain text."""
        before = self.text(at - 1) if at else ""
        return self.text(at) == "{" and (before.startswith("\\") or before in ("^", "}", "]"))

    def closing(self, at: int) -> int:
        """Index after the brace that closes the one at `at`."""
        level = 0
        for index in range(at, len(self._tokens)):
            level += {"{": 1, "}": -1}.get(self._tokens[index].text, 0)
            if level == 0:
                return index + 1
        return len(self._tokens)
