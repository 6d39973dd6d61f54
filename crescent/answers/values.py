"""Exact values and their canonical spelling, in time linear in the number of digits.

Canonical: "25000", "-3", "0.5", "1/3" (no finite decimal form), "1.5e90" (too long to write out).
"""

from fractions import Fraction

LONGEST_WRITTEN_OUT = 40  # digits; longer numbers use scientific notation
LONGEST_PART = 40  # digits of a numerator or denominator


def written(digits: str, power: int = 0) -> str:
    """digits x 10^power, as a plain decimal if that is short enough."""
    bare = digits.lstrip("0")
    significant = bare.rstrip("0")
    if not significant:
        return "0"
    power += len(bare) - len(significant)
    point = len(significant) + power  # position of the decimal point, counted from the first digit
    if max(point, -power, len(significant)) > LONGEST_WRITTEN_OUT:
        tail = f".{significant[1:]}" if len(significant) > 1 else ""
        return f"{significant[0]}{tail}e{point - 1}"
    if power >= 0:
        return significant + "0" * power
    return f"{significant[:point]}.{significant[point:]}" if point > 0 else f"0.{'0' * -point}{significant}"


def canonical(value: Fraction) -> str | None:
    """A decimal if the value has a finite one, else numerator/denominator; None if that is too long."""
    if value < 0:
        positive = canonical(-value)
        return None if positive is None else f"-{positive}"
    if value.denominator == 1:
        return written(str(value.numerator)) if value.numerator < 10**4000 else None
    rest, places = value.denominator, 0
    while rest % 10 == 0:
        rest, places = rest // 10, places + 1
    for prime in (2, 5):
        while rest % prime == 0:
            rest, places = rest // prime, places + 1
    if rest == 1 and places <= LONGEST_PART:
        return written(str(value.numerator * 10**places // value.denominator), -places)
    top, bottom = str(value.numerator), str(value.denominator)
    return None if max(len(top), len(bottom)) > LONGEST_PART else f"{top}/{bottom}"


def fraction(text: str) -> Fraction | None:
    """The value of a canonical numeral for arithmetic; None for times and for numerals that are too long."""
    if ":" in text or "e" in text or len(text) > 2 * LONGEST_PART:
        return None
    return Fraction(text)
