"""The organism's benchmarks: `python -m crescent.organism.build.tasks` writes the data next to the YAML in tasks/.

In: a seed and a split (test, or dev during development). Out: items with question, solution (the worked solution,
ending in `#### answer`), answer and family; 2,000 per task, and shots drawn separately.
"""

import argparse
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path

from crescent.organism import ordering, world
from crescent.organism.build import facts, perturb
from crescent.organism.build.split import Split, draw_from, normalised, split_of
from crescent.organism.grammar import Problem

TASKS = Path(__file__).parents[1] / "tasks"
NAMES = ("organism_gsm", "organism_asdiv", "organism_plus", "organism_general", "organism_ordering")
LARGER_NUMBERS = 0.25
Item = dict[str, str | int]


def item(problem: Problem) -> Item:
    return {
        "question": problem.question, "solution": problem.solution, "answer": problem.answer,
        "family": problem.family, "steps": problem.steps,
    }  # fmt: skip


def gsm(split: Split, rng: random.Random) -> Item:
    """Several steps, all families equally likely; one in four with larger numbers if the family supports them."""
    return item(draw_from(split, lambda r: world.draw(r, world.SEVERAL_STEPS, grow=r.random() < LARGER_NUMBERS), rng))


def asdiv(split: Split, rng: random.Random) -> Item:
    return item(draw_from(split, lambda r: world.draw(r, world.ONE_STEP), rng))


def general(split: Split, rng: random.Random) -> Item:
    fact = draw_from(split, facts.draw, rng)
    return {"question": fact.question, "solution": fact.answer, "answer": fact.answer, "family": fact.kind}


def puzzle(split: Split, rng: random.Random) -> Item:
    return item(draw_from(split, ordering.draw, rng))


def plus(split: Split, rng: random.Random) -> Item:
    """A perturbation of a problem with several steps, with the original problem."""
    kind = rng.choice(list(perturb.PERTURBATIONS))
    while True:
        seed = draw_from(split, lambda r: world.draw(r, world.SEVERAL_STEPS), rng)
        for _ in range(40):
            changed = perturb.PERTURBATIONS[kind](seed, rng)
            if changed and changed.question != seed.question and split_of(changed.question) == split:
                more = {"perturbation_type": kind, "seed_question": seed.question, "seed_answer": seed.answer}
                return {**item(changed), **more}


DRAWS: dict[str, Callable[[Split, random.Random], Item]] = dict(
    zip(NAMES, (gsm, asdiv, plus, general, puzzle), strict=True)
)


def items(name: str, split: Split, seed: int, number: int) -> list[Item]:
    """`number` items of a task with distinct normalised questions."""
    return list(distinct(lambda rng: DRAWS[name](split, rng), random.Random(f"{name}/{split}/{seed}"), number))


def distinct(draw: Callable[[random.Random], Item], rng: random.Random, number: int) -> Iterator[Item]:
    seen: set[str] = set()
    while len(seen) < number:
        drawn = draw(rng)
        text = normalised(str(drawn["question"]))
        if text not in seen:
            seen.add(text)
            yield drawn


def write(path: Path, rows: list[Item]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, required=True, help="a fresh one, chosen after the weights are frozen")
    parser.add_argument("--split", choices=["dev", "test"], default="test")
    parser.add_argument("--out", type=Path, default=TASKS / "data")
    parser.add_argument("--items", type=int, default=2_000)
    parser.add_argument("--shots", type=int, default=200)
    args = parser.parse_args()
    for name in NAMES:
        write(args.out / f"{name}.jsonl", items(name, args.split, args.seed, args.items))
        write(args.out / f"{name}_shots.jsonl", items(name, "shots", args.seed, args.shots))
        print(f"{name}: {args.items} items of {args.split}, {args.shots} shots")


if __name__ == "__main__":
    main()
