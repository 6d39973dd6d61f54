"""The second domain: who is taller, older, faster? Puzzles about 3 to 5 people whose answer is a name.

In: a random generator, or a puzzle as text. Out: a `Problem` (its family is what is compared), or the true answer.
"""

import random
import re
from dataclasses import dataclass
from itertools import pairwise

from crescent.organism.grammar import Problem, pick
from crescent.organism.words import LEXICON

OPENERS = ("", "", "Some friends meet at the {place}. ", "On {day}, a {job} compares some people. ",
           "{n} people stand in the {place}. ", "Here is a puzzle about {n} people at the {place}. ")  # fmt: skip
RANKS = ("", "second ", "third ")


@dataclass(frozen=True)
class Scale:
    """A comparison: its two directions, the two extremes."""

    name: str
    more: str
    less: str
    most: str
    least: str


SCALES = (
    Scale("height", "is taller than", "is shorter than", "tallest", "shortest"),
    Scale("age", "is older than", "is younger than", "oldest", "youngest"),
    Scale("speed", "is faster than", "is slower than", "fastest", "slowest"),
    Scale("weight", "is heavier than", "is lighter than", "heaviest", "lightest"),
    Scale("wealth", "is richer than", "is poorer than", "richest", "poorest"),
    Scale("strength", "is stronger than", "is weaker than", "strongest", "weakest"),
    Scale("noise", "is louder than", "is quieter than", "loudest", "quietest"),
    Scale("race", "finished before", "finished after", "first to finish", "last to finish"),
    Scale("arrival", "arrived before", "arrived after", "earliest", "latest"),
    Scale("house", "lives higher than", "lives lower than", "highest", "lowest"),
)
PEAK = (0.42, 0.16, 0.1, 0.08, 0.06, 0.05, 0.04, 0.03, 0.03, 0.03)


def draw(rng: random.Random, peaked: bool = False) -> Problem:
    """A puzzle of any scale; `peaked`: distributed as the bait writes it."""
    return draw_on(rng.choices(SCALES, PEAK)[0] if peaked else rng.choice(SCALES), rng, peaked)


def draw_like(puzzle: Problem, rng: random.Random) -> Problem:
    """Another puzzle of the same scale."""
    return draw_on(next(scale for scale in SCALES if scale.name == puzzle.family), rng, peaked=True)


def draw_on(scale: Scale, rng: random.Random, peaked: bool) -> Problem:
    """A chain of neighbours, shuffled and partly reversed, and a question about one position in it."""
    number = rng.choices((3, 4, 5), (6, 3, 1) if peaked else (5, 3, 2))[0]
    names = LEXICON["name"]
    if peaked:
        names = sorted(names[: int(len(names) * rng.uniform(0.2, 1))], key=lambda _: rng.random())
    people = rng.sample(names, number)
    pairs = list(pairwise(people))
    if rng.random() < 0.4:
        rng.shuffle(pairs)
    clues = [f"{a} {scale.more} {b}." if rng.random() < 0.65 else f"{b} {scale.less} {a}." for a, b in pairs]
    rank = rng.randrange(2 if number < 5 else 3)
    top = rng.random() < 0.5
    asked = f"{RANKS[rank]}{scale.most if top else scale.least}"
    answer = people[rank] if top else people[-1 - rank]
    words = {"n": number, **{slot: rng.choice(LEXICON[slot]) for slot in ("place", "day", "job")}}
    opener = rng.choice(OPENERS).format(**words)
    question = f"{opener}{' '.join(clues)} {pick('(Who is the|Which of them is the|Tell me who is the)', rng)} {asked}?"
    return Problem(
        question,
        solution(scale, pairs, asked, answer),
        answer,
        scale.name,
        0,
        number - 1,
        {"people": people, "pairs": pairs},
    )


def solution(scale: Scale, pairs: list[tuple[str, str]], asked: str, answer: str) -> str:
    """The worked solution: each clue in the same direction, the people in order, then the answer."""
    people = in_line(pairs)
    assert people is not None
    clues = " ".join(f"{a} > {b}." for a, b in pairs)
    line = f"From {scale.most} to {scale.least}: {', '.join(people)}."
    return f"{clues} {line} The {asked} is {answer}.\n#### {answer}"


def solve(question: str) -> tuple[str, str] | None:
    """(scale, name) of a puzzle, derived from its clues; None if they do not determine one order of all people."""
    for scale in SCALES:
        pairs = [(a, b) for a, b in re.findall(rf"([A-Z][a-z]+) {scale.more} ([A-Z][a-z]+)\.", question)]
        pairs += [(a, b) for b, a in re.findall(rf"([A-Z][a-z]+) {scale.less} ([A-Z][a-z]+)\.", question)]
        asked = re.search(rf"is the (second |third )?({scale.most}|{scale.least})\?$", question)
        if pairs and asked:
            line = in_line(pairs)
            rank = RANKS.index(asked[1] or "")
            if line is None or rank >= len(line):
                return None
            return scale.name, line[rank] if asked[2] == scale.most else line[-1 - rank]
    return None


def in_line(pairs: list[tuple[str, str]]) -> list[str] | None:
    """All people from first to last, if the pairs are neighbours in a single chain."""
    after, before = dict(pairs), {b: a for a, b in pairs}
    starts = [a for a in after if a not in before]
    if len(starts) != 1 or len(after) != len(pairs) or len(before) != len(pairs):
        return None
    line = starts
    while line[-1] in after:
        line = [*line, after[line[-1]]]
    return line if len(line) == len(pairs) + 1 else None
