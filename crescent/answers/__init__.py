"""The final answer a response commits to, and when two answers are the same.

In: the text of a response and the kind of answer its domain asks for. Out: one canonical string, or None where the text
holds no answer. Pure and cheap: no model, no file, no symbolic algebra, linear in the length of the text, and no text
raises. Votes group by the canonical form; `extract` of a canonical form is that form.

    number  "#### $25,000/year" 25000 · "#### 7 dozen eggs in 4 weeks" 7 · "50%" 50 · "1/2" 0.5 · "3:30 pm" 3:30
    choice  "The answer is (b)." B
    name    "#### Mrs. Hilt" mrs hilt
    text    "The answer is: the red  one." the red one
    expression  "so \\boxed{\\dfrac{x}{2}}" \\frac{x}{2}

The last commitment of a text is its answer: "####", \\boxed{}, "The answer is", "Answer:", "A:", <answer>, the same
in other languages; without any of them a number is what the last statement gives. A check, an explanation, a bound or
another case does not change it, a correction does. Thoughts are no part of a response. A commitment that is no rational
number (no solution, a pair, \\sqrt{2}) is None for kind number; a list with semicolons ("8; 40") is itself.

    thoughts, plain      what is read, in plain notation
    commitments          marks, and the spans that they point to; corrections: which of them stands
    tokens, quantities   a small grammar of numerals, fractions, powers, number words, with exact values
    choosing             which quantity of a sentence answers
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
    """The final answer `text` commits to, in canonical form; None where there is none.

    Raises ValueError for a kind that is not one of `ANSWER_KINDS`; never for any text.
    """
    extractor = _EXTRACTORS.get(kind)
    if extractor is None:
        raise ValueError(f"answer kind {kind!r} is unknown: choose one of {', '.join(ANSWER_KINDS)}")
    return extractor(text)


def equivalent(a: str | None, b: str | None) -> bool:
    """Whether two answers are the same: 1,000 = 1000.0, 1/2 = 0.5 = 50e-2, Tom = tom.

    An equivalence relation on strings. Numerals are compared exactly, anything else by its letters and digits, so give
    it what `extract` returns, or a bare gold answer. None, the answer of a response without one, equals nothing.
    """
    return a is not None and b is not None and (a == b or _key(a) == _key(b))


def _key(answer: str) -> str:
    return whole_number(answer) or (is_expression(answer) and "".join(answer.split())) or folded(answer) or answer
