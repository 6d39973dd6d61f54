"""The final answer a response commits to, and when two answers are equal.

In: the text of a response and the answer kind of its domain. Out: one canonical string, or None if the text contains no
answer. Pure and cheap: no model, file or symbolic algebra; linear in the length of the text; never raises for any text.
Votes are grouped by the canonical form; `extract` maps a canonical form to itself.

    number  "#### $25,000/year" 25000 · "#### 7 dozen eggs in 4 weeks" 7 · "50%" 50 · "1/2" 0.5 · "3:30 pm" 3:30
    choice  "The answer is (b)." B
    name    "#### Mrs. Hilt" mrs hilt
    text    "The answer is: the red  one." the red one
    expression  "so \\boxed{\\dfrac{x}{2}}" \\frac{x}{2}

The last commitment of a text is its answer: "####", \\boxed{}, "The answer is", "Answer:", "A:", <answer>, and the same
in other languages. Without any of these, a number is read from the last statement. A check, an explanation, a bound or
another case does not change the answer; a correction does. Thoughts are ignored. A commitment that is not a rational
number (no solution, a pair, \\sqrt{2}) gives None for kind number; a list with semicolons ("8; 40") stays a list.

    thoughts, plain      text without thoughts, in plain notation
    commitments          marks and the spans they point to; corrections: which of them counts
    tokens, quantities   a small grammar of numerals, fractions, powers, number words, with exact values
    choosing             which quantity of a sentence is the answer; asides: which only describe or restate
    unmarked             what a response without a mark states
"""

from collections.abc import Callable

from crescent.answers.choices import extract_choice
from crescent.answers.expressions import extract_expression, is_expression
from crescent.answers.labels import extract_name, extract_text, folded
from crescent.answers.numbers import extract_number
from crescent.answers.numerals import whole_number

_EXTRACTORS: dict[str, Callable[[str], str | None]] = {
    "number": extract_number,
    "choice": extract_choice,
    "name": extract_name,
    "text": extract_text,
    "expression": extract_expression,
}
ANSWER_KINDS = tuple(_EXTRACTORS)


def extract(text: str, kind: str = "number") -> str | None:
    """Returns the final answer in `text` in canonical form, or None if there is none.

    Raises ValueError for a kind that is not in `ANSWER_KINDS`, but never because of the text.
    """
    extractor = _EXTRACTORS.get(kind)
    if extractor is None:
        raise ValueError(f"answer kind {kind!r} is unknown; choose one of {', '.join(ANSWER_KINDS)}")
    return extractor(text)


def equivalent(a: str | None, b: str | None) -> bool:
    """True if two answers are equal: 1,000 = 1000.0, 1/2 = 0.5 = 50e-2, Tom = tom.

    An equivalence relation on strings. Numerals are compared exactly, other answers by their letters and digits, so
    pass results of `extract` or bare gold answers. None (no answer) equals nothing.
    """
    return a is not None and b is not None and (a == b or _key(a) == _key(b))


def _key(answer: str) -> str:
    return whole_number(answer) or (is_expression(answer) and "".join(answer.split())) or folded(answer) or answer
