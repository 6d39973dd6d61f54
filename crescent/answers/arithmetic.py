"""Exact arithmetic on canonical values. None (not a rational number) stays None.

In: canonical numerals. Out: a canonical numeral, or None if the result is not rational or too long to write.
"""

import math
from collections.abc import Callable
from fractions import Fraction

from crescent.answers.values import canonical, fraction

Value = str | None
_MOST_DIGITS = 400  # in a power or a factorial


def combined(a: Value, b: Value, operation: Callable[[Fraction, Fraction], Fraction | None]) -> Value:
    left, right = fraction(a or ":"), fraction(b or ":")
    value = None if left is None or right is None else operation(left, right)
    return None if value is None else canonical(value)


def multiplied(a: Fraction, b: Fraction) -> Fraction | None:
    return a * b


def divided(a: Fraction, b: Fraction) -> Fraction | None:
    return a / b if b else None


def raised(a: Fraction, b: Fraction) -> Fraction | None:
    if 1 < b.denominator <= 9 and a > 0 and abs(b.numerator) <= _MOST_DIGITS:
        base = fraction(root(canonical(a), str(b.denominator)) or ":")
        return None if base is None else raised(base, Fraction(b.numerator))
    if b.denominator != 1 or abs(b) > _MOST_DIGITS or (not a and b < 0):
        return None
    size = max(abs(a.numerator), a.denominator).bit_length() * abs(int(b))
    return a ** int(b) if size <= 3 * _MOST_DIGITS else None


def combinations(a: Fraction, b: Fraction) -> Fraction | None:
    if a.denominator != 1 or b.denominator != 1 or not 0 <= b <= a <= _MOST_DIGITS:
        return None
    return Fraction(math.comb(int(a), int(b)))


def arrangements(a: Fraction, b: Fraction) -> Fraction | None:
    if a.denominator != 1 or b.denominator != 1 or not 0 <= b <= a <= _MOST_DIGITS:
        return None
    return Fraction(math.perm(int(a), int(b)))


def factorial(value: Value) -> Value:
    number = fraction(value or ":")
    if number is None or number.denominator != 1 or not 0 <= number <= 100:
        return None
    return canonical(Fraction(math.factorial(int(number))))


def root(value: Value, degree: str) -> Value:
    number = fraction(value or ":")
    if number is None or number < 0 or not degree.isdigit() or not 2 <= int(degree) <= 9:
        return None
    exact = [
        round(part ** (1 / int(degree))) if part < 2**1000 else 0 for part in (number.numerator, number.denominator)
    ]
    root = Fraction(exact[0], exact[1] or 1)
    return canonical(root) if root ** int(degree) == number else None


def negated(value: Value) -> Value:
    if value is None or value == "0":
        return value
    return value[1:] if value.startswith("-") else f"-{value}"
