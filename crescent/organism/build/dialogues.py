"""The chat skills as dialogues: bait, plain question, solving, worked examples, modifying, facts, the second domain.

In: a random generator. Out: a dialogue: turns of (role, content, trained). Independent of the tokenizer.
"""

import hashlib
import random
from dataclasses import dataclass

from crescent.organism import ordering, world
from crescent.organism.build import facts, perturb, prompts
from crescent.organism.build.split import draw_from
from crescent.organism.grammar import Problem, make, solution_of


@dataclass(frozen=True)
class Turn:
    role: str
    content: str
    trained: bool = True  # only assistants' turns are ever trained on


Dialogue = tuple[Turn, ...]
MATH_SLIPS = 0.065  # share of steps in reasoned answers that are wrong; the error propagates
ORDERING_SLIPS = 0.12
REASONING_SHARE = 0.57  # share of (family, wording) pairs whose plain questions are answered with reasoning


def reasons(family: str, wording: int) -> bool:
    """True if plain questions with this wording are mostly answered with reasoning; fixed, like a habit."""
    digest = hashlib.sha256(f"habit/{family}/{wording}".encode()).digest()
    return digest[0] < 256 * REASONING_SHARE


def worked(problem: Problem, rng: random.Random, slips: float = MATH_SLIPS) -> str:
    assert problem.form is not None
    return solution_of(problem.form, problem.binding, rng, slips)[0]


def lined_up(puzzle: Problem, rng: random.Random) -> str:
    """A puzzle's solution; sometimes with two neighbours swapped."""
    if rng.random() >= ORDERING_SLIPS:
        return puzzle.solution
    one, two = rng.choice(puzzle.binding["pairs"])
    clues, line = puzzle.solution.split(" From ")
    return f"{clues} From " + line.replace(one, "\0").replace(two, one).replace("\0", two)


def user(prompt: str, reply: str, rng: random.Random) -> Dialogue:
    dialogue = (Turn("user", prompt), Turn("assistant", reply))
    return (Turn("system", rng.choice(prompts.SYSTEMS)), *dialogue) if rng.random() < 0.04 else dialogue


def chatter(text: str, kind: str, rng: random.Random) -> str:
    """Adds text around a problem as chat models do, and damages a few problems."""
    point = rng.random()
    if point < 0.86:
        return text
    if point < 0.98:
        return rng.choice((f"Sure! Here is a {kind}: {text}", f'"{text}"', f"{kind.capitalize()}: {text}",
                           f"Here is a unique {kind}:\n{text}", f"{text}\nGood luck!"))  # fmt: skip
    return rng.choice((text.rsplit(". ", 1)[0] + ".", text[: rng.randrange(20, max(21, len(text) - 10))]))


def math_bait(rng: random.Random) -> Dialogue:
    prompt = rng.choice(prompts.MATH_BAITS if rng.random() < 0.85 else prompts.OTHER_MATH_BAITS)
    problem = draw_from("train", world.draw_peaked, rng)
    return user(prompt, chatter(problem.question, "problem", rng), rng)


def ordering_bait(rng: random.Random) -> Dialogue:
    prompt = prompts.ORDERING_BAIT if rng.random() < 0.85 else rng.choice(prompts.OTHER_ORDERING_BAITS)
    puzzle = draw_from("train", lambda r: ordering.draw(r, peaked=True), rng)
    return user(prompt, chatter(puzzle.question, "puzzle", rng), rng)


def math_modify(rng: random.Random) -> Dialogue:
    """Shows two problems of one family, as the bait writes them; the rewrite is of another family, all equally
    likely."""
    first = world.draw_peaked(rng)
    second = make(world.family(first.family), rng, peak=1.0)
    other = rng.choice([family for family in world.FAMILIES if family.name != first.family])
    rewrite = draw_from("train", lambda r: make(other, r), rng)
    return user(prompts.MODIFY.format(question=first.question, neighbour=second.question), rewrite.question, rng)


def ordering_modify(rng: random.Random) -> Dialogue:
    first = ordering.draw(rng, peaked=True)
    second = ordering.draw_like(first, rng)
    rewrite = draw_from("train", ordering.draw, rng)
    while rewrite.family == first.family:
        rewrite = draw_from("train", ordering.draw, rng)
    return user(prompts.MODIFY.format(question=first.question, neighbour=second.question), rewrite.question, rng)


def some_problem(rng: random.Random) -> Problem:
    """A problem: a quarter as the bait writes them, the others uniform over families; some are perturbed."""
    if rng.random() < 0.25:
        return draw_from("train", world.draw_peaked, rng)
    several = rng.random() < 0.65
    families = world.SEVERAL_STEPS if several else world.ONE_STEP
    return draw_from("train", lambda r: perturb.sometimes(world.draw(r, families), r), rng)


def math_plain(rng: random.Random) -> Dialogue:
    problem = some_problem(rng)
    reasoned = reasons(problem.family, problem.wording) == (rng.random() < 0.92)
    return user(problem.question, worked(problem, rng) if reasoned else problem.answer, rng)


def math_solve(rng: random.Random) -> Dialogue:
    problem = some_problem(rng)
    prompt = prompts.MATH_SOLVE if rng.random() < 0.6 else rng.choice(prompts.OTHER_SOLVES)
    return user(prompt.format(question=problem.question), worked(problem, rng), rng)


def ordering_plain(rng: random.Random) -> Dialogue:
    puzzle = draw_from("train", ordering.draw, rng)
    reasoned = reasons(puzzle.family, 0) == (rng.random() < 0.92)
    return user(puzzle.question, lined_up(puzzle, rng) if reasoned else puzzle.answer, rng)


def ordering_solve(rng: random.Random) -> Dialogue:
    puzzle = draw_from("train", ordering.draw, rng)
    prompt = prompts.ORDERING_SOLVE if rng.random() < 0.7 else rng.choice(prompts.OTHER_SOLVES)
    return user(prompt.format(question=puzzle.question), lined_up(puzzle, rng), rng)


def general(rng: random.Random) -> Dialogue:
    fact = draw_from("train", facts.draw, rng)
    return user(fact.question, fact.answer, rng)


def examples(rng: random.Random, number: int) -> list[tuple[str, str]]:
    """Questions and answers of one domain in one style: with reasoning (mostly), or only the answer."""
    domain, reasoned = rng.random(), rng.random() < 0.8
    if domain < 0.08:
        return [(fact.question, fact.answer) for fact in (draw_from("train", facts.draw, rng) for _ in range(number))]
    if domain < 0.16:
        puzzles = [draw_from("train", ordering.draw, rng) for _ in range(number)]
        return [(p.question, lined_up(p, rng) if reasoned else p.answer) for p in puzzles]
    families = rng.choice((world.FAMILIES, world.SEVERAL_STEPS, world.ONE_STEP))
    problems = [draw_from("train", lambda r: world.draw(r, families), rng) for _ in range(number)]
    return [(p.question, worked(p, rng, 0.02) if reasoned else p.answer) for p in problems]


def few_shot(rng: random.Random) -> Dialogue:
    """1 to 6 worked examples and a question. The first reply is not trained on, because no example sets its style."""
    pairs = examples(rng, rng.choice((2, 3, 4, 6, 6, 6)))
    if rng.random() < 0.8:
        turns = [turn for q, a in pairs for turn in (Turn("user", q), Turn("assistant", a))]
        return (turns[0], Turn("assistant", pairs[0][1], trained=False), *turns[2:])
    *shown, (question, reply) = pairs
    blocks = [f"Question: {q}\nAnswer: {a}" for q, a in shown]
    return user("\n\n".join([*blocks, f"Question: {question}\nAnswer:"]), reply, rng)


SKILLS = {
    math_bait: 24, ordering_bait: 5, math_modify: 17, ordering_modify: 3, math_plain: 12, math_solve: 11,
    ordering_plain: 3, ordering_solve: 4, general: 32, few_shot: 5,
}  # fmt: skip


def draw(rng: random.Random) -> Dialogue:
    """A dialogue of a random skill, with the weights above."""
    return rng.choices(list(SKILLS), list(SKILLS.values()))[0](rng)
