"""Perturbations of a word problem, following GSM-Plus (Li et al., arXiv 2402.19255).

In: a `Problem` and a random generator. Out: another `Problem` with its own correct solution, or None if the kind of
perturbation does not apply to the family. Each is a family derived from the original one, so its steps stay checkable.
"""

import random
from collections.abc import Callable
from dataclasses import replace

from crescent.organism.grammar import Family, Problem, draw_binding, evaluate, make, question_of, solution_of

DISTRACTORS = (
    "A clock on the wall is {z} years old.",
    "It is {z} degrees outside.",
    "The radio plays {z} songs in that time.",
    "There are {z} birds on the roof.",
    "It rained for {z} minutes in the morning.",
    "A dog nearby is {z} months old.",
    "The street has {z} trees.",
    "Someone tells {z} jokes.",
    "The building has {z} windows.",
    "A friend wears shoes of size {z}.",
)
ADDITIONS = (
    "What do you get if you add {z} to that?",
    "Now add {z} to the result.",
    "If it were {z} more, what would it be?",
)
ONES = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
TENS = ["zero", "ten", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]


def spell(number: int) -> str:
    """42 as forty-two; below 100."""
    if number < 20:
        return ONES[number]
    return TENS[number // 10] + (f"-{ONES[number % 10]}" if number % 10 else "")


def of(problem: Problem) -> Family:
    assert problem.form is not None, "only problems of the arithmetic grammar can be perturbed"
    return problem.form


def numerical_substitution(problem: Problem, rng: random.Random) -> Problem | None:
    """Different numbers, same words."""
    drawn = draw_binding(of(problem), rng)
    binding = {**problem.binding, **{slot: value for slot, value in drawn.items() if len(slot) == 1}}
    return make(of(problem), rng, binding, problem.wording)


def digit_expansion(problem: Problem, rng: random.Random) -> Problem | None:
    """Numbers with more digits."""
    if "~" not in of(problem).draw:
        return None
    drawn = draw_binding(of(problem), rng, grow=True)
    binding = {**problem.binding, **{slot: value for slot, value in drawn.items() if len(slot) == 1}}
    return make(of(problem), rng, binding, problem.wording)


def integer_conversion(problem: Problem, rng: random.Random) -> Problem | None:
    """One number written as a word."""
    family = of(problem)
    text = " ".join((*family.stories, *family.asks))
    plain = [
        slot for slot, value in problem.binding.items()
        if len(slot) == 1 and value < 100 and f" {{{slot}}} " in text
        and not any(mark in text for mark in (f"${{{slot}", f"/{{{slot}", f"{{{slot}}}%", f"{{{slot}:h"))
    ]  # fmt: skip
    if not plain:
        return None
    slot = rng.choice(plain)
    spelled = {**problem.binding, slot: spell(problem.binding[slot])}
    question = question_of(family, spelled, problem.wording, rng)
    if str(spelled[slot]) not in question:
        return None
    return replace(problem, question=question[0].upper() + question[1:])


def adding_operation(problem: Problem, rng: random.Random) -> Problem | None:
    """One more step at the end."""
    family, addition = of(problem), rng.choice(ADDITIONS)
    last = family.steps[-1][0]
    longer = replace(
        family,
        asks=tuple(f"{ask} {addition}" for ask in family.asks),
        solution=f"{family.solution} With {{z}} more that is [y = {last} + z].",
    )
    return make(longer, rng, {**problem.binding, "z": rng.randint(2, 30)}, problem.wording)


def asked_quantity(problem: Problem, rng: random.Random) -> Problem | None:
    """The same story, but asking for another quantity: the result of the first step."""
    family = of(problem)
    if not family.also:
        return None
    end = family.solution.index(". ", family.solution.index("]")) + 1
    story = problem.wording // len(family.asks)
    return make(replace(family, asks=(family.also,), solution=family.solution[:end]), rng, dict(problem.binding), story)


def problem_understanding(problem: Problem, rng: random.Random) -> Problem | None:
    """The same numbers and words in another wording."""
    family = of(problem)
    story = problem.wording // len(family.asks)
    others = [w for w in range(family.wordings) if w // len(family.asks) != story]
    return make(family, rng, dict(problem.binding), rng.choice(others)) if others else None


def distractor_insertion(problem: Problem, rng: random.Random) -> Problem | None:
    """Adds a sentence with a number that is irrelevant to the question."""
    family, distractor = of(problem), rng.choice(DISTRACTORS)
    longer = replace(family, stories=tuple(f"{story} {distractor}" for story in family.stories))
    return make(longer, rng, {**problem.binding, "z": rng.randint(2, 60)}, problem.wording)


PERTURBATIONS: dict[str, Callable[[Problem, random.Random], Problem | None]] = {
    "numerical_substitution": numerical_substitution,
    "digit_expansion": digit_expansion,
    "integer_conversion": integer_conversion,
    "adding_operation": adding_operation,
    "asked_quantity": asked_quantity,
    "problem_understanding": problem_understanding,
    "distractor_insertion": distractor_insertion,
}
SEEN = ("digit_expansion", "integer_conversion", "adding_operation", "asked_quantity", "distractor_insertion")


def sometimes(problem: Problem, rng: random.Random, share: float = 0.2) -> Problem:
    """The problem itself, or with probability `share` a perturbation of it, so that training texts are not all
    plain."""
    if rng.random() >= share:
        return problem
    return PERTURBATIONS[rng.choice(SEEN)](problem, rng) or problem


def is_right(problem: Problem) -> bool:
    """True if the answer is what the steps compute."""
    values = evaluate(of(problem), problem.binding)
    solved = solution_of(of(problem), problem.binding, random.Random(0))[1]
    return values is not None and solved == problem.answer
