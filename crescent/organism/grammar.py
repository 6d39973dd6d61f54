"""The grammar of word problems: draws a problem of a family, renders it, solves it step by step, and parses it back.

In: a `Family` (a row of the tables in families_*.py) and a random generator. Out: a `Problem`. Uses no model.

A text template contains alternatives and slots: `{name} (buys|gets) {a} {thing}.` A slot with one letter is a number,
any other is a word from the lexicon of that name (`thing2` is a second, different thing); he, his, him agree with
`name`. A solution template computes in brackets: `{name} has [c = a + b] {thing}.` renders as `Tom has 3 + 4 = 7
apples.`
"""

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

from crescent.organism.words import BOYS, LEXICON

Binding = dict[str, Any]
SLOT = re.compile(r"\{(\w+)(:h)?\}")
STEP = re.compile(r"\[(\w) = (\w+) ([-+*/]) (\w+)\]")
CHOICE = re.compile(r"\(([^()]*)\)")
PRONOUNS = {
    "he": ("he", "she"),
    "He": ("He", "She"),
    "his": ("his", "her"),
    "His": ("His", "Her"),
    "him": ("him", "her"),
}


@dataclass(frozen=True)
class Family:
    """A kind of problem. `draw` lists numbers, `a=2..9 b=10|20 t=a*b a<b`; a `~` after a range allows larger
    numbers."""

    name: str
    draw: str
    stories: tuple[str, ...]
    asks: tuple[str, ...]
    solution: str
    also: str = ""  # a question about the result of the first step

    @property
    def steps(self) -> list[tuple[str, str, str, str]]:
        return STEP.findall(self.solution)

    @property
    def wordings(self) -> int:
        return len(self.stories) * len(self.asks)


@dataclass(frozen=True)
class Problem:
    """A question, its worked solution (ending in `#### answer`) and its origin in the grammar.

    `form` is the family that wrote it, or one derived from it (see perturb.py); None for problems of other grammars.
    """

    question: str
    solution: str
    answer: str
    family: str
    wording: int
    steps: int
    binding: Mapping[str, Any]
    form: Family | None = None


def pick(text: str, rng: random.Random) -> str:
    """Chooses one alternative of each (a|b|c) in `text`."""
    return CHOICE.sub(lambda match: rng.choice(match[1].split("|")), text)


def fill(text: str, binding: Mapping[str, Any]) -> str:
    """Fills words and numbers into the slots; {p:h} is p and a half, as money: 5.50."""

    def value(match: re.Match[str]) -> str:
        slot, half = match.groups()
        if slot in PRONOUNS:
            return PRONOUNS[slot][binding["name"] not in BOYS]
        return f"{binding[slot]}.50" if half else str(binding[slot])

    return SLOT.sub(value, text)


def compute(op: str, left: int, right: int) -> int | None:
    """Exact integer arithmetic; None if the result is not a natural number."""
    if op == "/":
        return left // right if right > 0 and left % right == 0 else None
    result = {"+": left + right, "-": left - right, "*": left * right}[op]
    return result if result >= 0 else None


def operand(token: str, values: Mapping[str, Any]) -> int:
    return int(token) if token.isdigit() else values[token]


def evaluate(family: Family, binding: Mapping[str, Any]) -> Binding | None:
    """All numbers of a problem, including computed ones; None if a step leaves the natural numbers."""
    values = dict(binding)
    for target, left, op, right in family.steps:
        result = compute(op, operand(left, values), operand(right, values))
        if result is None:
            return None
        values[target] = result
    return values


def exact(family: Family, binding: Mapping[str, Any]) -> Fraction | None:
    """The true answer in exact fractions, for questions from other writers; None if a step is impossible."""
    values: dict[str, Any] = dict(binding)
    for target, left, op, right in family.steps:
        x, y = (Fraction(operand(side, values)) for side in (left, right))
        if op == "/" and y == 0:
            return None
        values[target] = {"+": x + y, "-": x - y, "*": x * y, "/": x / (y or 1)}[op]
        if values[target] < 0:
            return None
    return values[family.steps[-1][0]]


def answer_of(family: Family, values: Mapping[str, Any]) -> str:
    return str(values[family.steps[-1][0]])


@cache
def _compiled(expression: str) -> Any:
    return compile(expression, "<draw>", "eval")


def draw_numbers(family: Family, rng: random.Random, grow: bool = False) -> Binding | None:
    """Draws the numbers listed in `family.draw`, left to right; None if a condition fails."""
    values: Binding = {}
    for item in family.draw.split():
        name, eq, spec = item.partition("=")
        if not eq or not name.isalpha():
            if not eval(_compiled(item), {}, values):
                return None
        elif "|" in spec:
            values[name] = int(rng.choice(spec.split("|")))
        elif ".." in spec:
            low, high = (eval(_compiled(end), {}, values) for end in spec.rstrip("~").split(".."))
            if grow and spec.endswith("~"):
                low, high = high + 1, high * 8
            if low > high:
                return None
            values[name] = rng.randint(low, high)
        else:
            values[name] = eval(_compiled(spec), {}, values)
    return values


def draw_words(family: Family, rng: random.Random, peak: float = 0.0) -> Binding:
    """Draws a word for each slot. `peak` > 0 prefers the first words of each list, as a real model does."""
    slots = SLOT.findall(" ".join((*family.stories, *family.asks, family.solution, family.also)))
    words: Binding = {}
    for slot in dict.fromkeys(slot for slot, _ in slots if len(slot) > 1 and slot not in PRONOUNS):
        options = [word for word in LEXICON[slot.rstrip("0123456789")] if word not in words.values()]
        scale = len(options) * rng.random() ** (1.0 + peak)
        words[slot] = options[int(scale)]
    return words


def draw_binding(family: Family, rng: random.Random, peak: float = 0.0, grow: bool = False) -> Binding:
    """Draws numbers and words such that every step is a natural number and the answer is positive."""
    for _ in range(500):
        numbers = draw_numbers(family, rng, grow)
        values = evaluate(family, numbers) if numbers is not None else None
        if numbers is not None and values is not None and int(answer_of(family, values)) > 0:
            return {**numbers, **draw_words(family, rng, peak)}
    raise ValueError(f"family {family.name}: its draw almost never gives natural numbers; narrow it")


def question_of(family: Family, binding: Mapping[str, Any], wording: int, rng: random.Random) -> str:
    story, ask = divmod(wording, len(family.asks))
    return fill(pick(f"{family.stories[story]} {family.asks[ask]}", rng), binding)


def digits(number: int) -> list[int]:
    """The parts of a number by place, highest first: 246 is 200, 40, 6."""
    text = str(number)
    return [int(digit) * 10 ** (len(text) - place - 1) for place, digit in enumerate(text)]


def by_parts(left: int, op: str, right: int) -> str:
    """The intermediate parts of a sum, difference or product of larger numbers; "" if it is easy.

    14 * 6: 60 + 24.  49 + 36: 70 + 15.  63 - 27: 40 - 4.
    """
    if op == "*" and max(left, right) > 12 and 1 < min(left, right) < 10:
        parts = [part * min(left, right) for part in digits(max(left, right))]
    elif op in "+-" and min(left, right) > 9:
        size = max(len(str(left)), len(str(right)))
        sign = 1 if op == "+" else -1
        pairs = zip(
            [0] * (size - len(str(left))) + digits(left), [0] * (size - len(str(right))) + digits(right), strict=True
        )
        parts = [one + sign * other for one, other in pairs]
    else:
        return ""
    parts = [part for part in parts if part]
    if len(parts) < 2:
        return ""
    return str(parts[0]) + "".join(f" {'-' if part < 0 else '+'} {abs(part)}" for part in parts[1:])


def written(left: int, op: str, right: int, result: int) -> str:
    """One step as written in a solution: 14 * 6 = 60 + 24 = 84."""
    parts = by_parts(left, op, right)
    return f"{left} {op} {right} = {parts} = {result}" if parts else f"{left} {op} {right} = {result}"


def slip(result: int, rng: random.Random) -> int:
    """A wrong result close to the right one."""
    return max(1, result + rng.choice((-10, -2, -1, 1, 1, 2, 10))) if result != 1 else 2


def solution_of(family: Family, binding: Mapping[str, Any], rng: random.Random, slips: float = 0.0) -> tuple[str, str]:
    """The worked solution and its answer; each step slips with probability `slips`, and slips propagate."""
    values = dict(binding)

    def step(match: re.Match[str]) -> str:
        target, left, op, right = match.groups()
        x, y = operand(left, values), operand(right, values)
        result = compute(op, x, y)
        if result is None:  # happens only after a slip
            result = max(1, x // max(1, y)) if op == "/" else abs(x - y)
        values[target] = slip(result, rng) if rng.random() < slips else result
        return written(x, op, y, values[target])

    text = fill(STEP.sub(step, pick(family.solution, rng)), {**values, **binding})
    answer = answer_of(family, values)
    return f"{text}\n#### {answer}", answer


def make(family: Family, rng: random.Random, binding: Binding | None = None, wording: int | None = None,
         peak: float = 0.0, grow: bool = False) -> Problem:  # fmt: skip
    """A problem of `family`; arguments that are not given are drawn."""
    binding = draw_binding(family, rng, peak, grow) if binding is None else binding
    if wording is None:
        wording = int(family.wordings * rng.random() ** (1.0 + peak))
    solution, answer = solution_of(family, binding, rng)
    question = question_of(family, binding, wording, rng)
    return Problem(question, solution, answer, family.name, wording, len(family.steps), binding, family)


def pattern(text: str) -> re.Pattern[str]:
    """The regular expression for texts rendered from a template: one group per slot, back-references for repeated
    slots."""
    pieces: list[str] = []
    seen: set[str] = set()
    for token in re.split(r"(\{\w+(?::h)?\}|[()|])", text):
        slot = SLOT.fullmatch(token)
        if slot is None:
            pieces.append({"(": "(?:", ")": ")", "|": "|"}.get(token, re.escape(token)))
        elif slot[1] in PRONOUNS:
            pieces.append(f"(?:{'|'.join(PRONOUNS[slot[1]])})")
        elif slot[1] in seen:
            pieces.append(f"(?P={slot[1]})" + (r"\.50" if slot[2] else ""))
        else:
            seen.add(slot[1])
            kind = r"\d+" if len(slot[1]) == 1 else "[A-Z][a-z]+" if slot[1][0] == "n" or slot[1] == "day" else "[a-z]+"
            pieces.append(f"(?P<{slot[1]}>{kind})" + (r"\.50" if slot[2] else ""))
    return re.compile("".join(pieces))


def patterns(family: Family) -> list[re.Pattern[str]]:
    return [pattern(f"{story} {ask}") for story in family.stories for ask in family.asks]


def read(family: Family, compiled: Sequence[re.Pattern[str]], question: str) -> tuple[int, Binding] | None:
    """The wording and the binding that render as `question`, if any; the inverse of `question_of`."""
    for wording, regex in enumerate(compiled):
        match = regex.fullmatch(question)
        if match:
            groups = {k: int(v) if len(k) == 1 else v for k, v in match.groupdict().items() if v is not None}
            names = [value for slot, value in groups.items() if slot.startswith("name")]
            if len(set(names)) == len(names):
                return wording, groups
    return None
