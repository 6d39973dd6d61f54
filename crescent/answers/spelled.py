"""English number words as values: "twenty-five" 25, "two and a half" 2.5, "two thirds" 2/3, "a million" 1000000.

After a number "dozen" is a unit ("seven dozen" is 7); "a dozen" alone is 12.
"""

from collections.abc import Sequence
from fractions import Fraction

from crescent.answers.tokens import Token

_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
    " eighteen nineteen"
)
_CARDINALS = {word: value for value, word in enumerate(_SMALL.split())}
_CARDINALS |= {
    word: 10 * tens
    for tens, word in enumerate(["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], 2)
}
LARGE = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12, "lakh": 10**5, "crore": 10**7}
SCALES = {"hundred": 100} | LARGE
_PARTS = {
    "half": 2,
    "halves": 2,
    "third": 3,
    "quarter": 4,
    "fourth": 4,
    "fifth": 5,
    "sixth": 6,
    "seventh": 7,
    "eighth": 8,
}
_PARTS |= {"ninth": 9, "tenth": 10, "twelfth": 12, "twentieth": 20, "hundredth": 100}
_PARTS |= {word + "s": value for word, value in _PARTS.items() if word not in ("half", "halves")}
STARTS = frozenset([*_CARDINALS, *SCALES, "a", "an", "half", "quarter"])
_ARTICLES = ("a", "an")
_MOST_WORDS = 24


def spelled(tokens: Sequence[Token], at: int) -> tuple[Fraction, int] | None:
    """Returns the value of the number words starting at `at`, and where they end; None if there are none."""
    words = _words(tokens, at)
    value, used = _number(words)
    if value is None or used == 0:
        return None
    return value, at + words[used - 1][1] + 1


def _words(tokens: Sequence[Token], at: int) -> list[tuple[str, int]]:
    """(word, distance in tokens); hyphens between words are skipped."""
    found: list[tuple[str, int]] = []
    for distance, token in enumerate(tokens[at : at + _MOST_WORDS]):
        if token.kind == "word":
            found.append((token.text, distance))
        elif token.text != "-":
            break
    return found


def _number(words: list[tuple[str, int]]) -> tuple[Fraction | None, int]:
    names = [word for word, _ in words]
    if not names:
        return None, 0
    if names[0] in ("half", "quarter") or (names[0] in _ARTICLES and names[1:2] and names[1] in _PARTS):
        return _part_of(names)
    if names[0] in _ARTICLES:
        if names[1:2] == ["dozen"]:
            return Fraction(12), 2
        if names[1:2] and names[1] in SCALES:
            return _with_fraction(names, *_cardinal(["one", *names[1:]]))
        return None, 0
    return _with_fraction(names, *_cardinal(names))


def _part_of(names: list[str]) -> tuple[Fraction | None, int]:
    """ "half", "a third", "half a million", "a quarter of a million", "half a dozen"."""
    used = 1 if names[0] in _PARTS else 2
    if used == 2 and names[1] not in ("half", "quarter", "third", "fourth", "fifth", "sixth", "eighth", "tenth"):
        return None, 0
    value = Fraction(1, _PARTS[names[used - 1]])
    rest = names[used:]
    skip = 1 if rest[:1] == ["of"] else 0
    if rest[skip : skip + 1] and rest[skip] in _ARTICLES and rest[skip + 1 : skip + 2]:
        unit = rest[skip + 1]
        if unit in SCALES or unit == "dozen":
            return value * SCALES.get(unit, 12), used + skip + 2
    return value, used


def _cardinal(names: list[str]) -> tuple[int | None, int]:
    total = group = used = 0
    for index, word in enumerate(names):
        if word in _CARDINALS:
            if (group % 10 and _CARDINALS[word] < 10) or (group % 100 and _CARDINALS[word] >= 10):
                break  # "two three": two numbers
            group += _CARDINALS[word]
        elif word == "hundred":
            group = max(group, 1) * 100
        elif word in LARGE:
            total, group = total + max(group, 1) * LARGE[word], 0
        elif word == "and" and used and names[index - 1] in SCALES and names[index + 1 : index + 2]:
            if names[index + 1] not in _CARDINALS:
                break
            continue
        else:
            break
        used = index + 1
    return (total + group, used) if used else (None, 0)


def _with_fraction(names: list[str], number: int | None, used: int) -> tuple[Fraction | None, int]:
    """Handles what may follow a cardinal: "two thirds", "two and a half", "one and three quarters", "two point
    five"."""
    if number is None:
        return None, 0
    rest = names[used:]
    if rest and rest[0] in _PARTS and (rest[0].endswith("s") or rest[0] == "half" or number == 1):
        return Fraction(number, _PARTS[rest[0]]), used + 1
    if rest[:1] == ["and"] and len(rest) > 2 and rest[2] in _PARTS and (rest[1] in _ARTICLES or rest[1] in _CARDINALS):
        part = Fraction(1 if rest[1] in _ARTICLES else _CARDINALS[rest[1]], _PARTS[rest[2]])
        scale = SCALES.get(rest[3], 1) if len(rest) > 3 else 1
        return (number + part) * scale, used + 3 + (scale > 1)
    if rest[:1] == ["point"]:
        digits = [_CARDINALS[word] for word in rest[1:] if word in _CARDINALS and _CARDINALS[word] < 10]
        if digits and all(word in _CARDINALS for word in rest[1 : 1 + len(digits)]):
            text = "".join(map(str, digits))
            return number + Fraction(int(text), 10 ** len(text)), used + 1 + len(digits)
    return Fraction(number), used
