"""The organism's seed data, for baselines that start from seeds: `python -m crescent.organism.build.seeds`.

In: a seed. Out: seed_sets/math.jsonl with rows of question, solution (ending in `#### answer`) and answer: problems in
the style of the benchmarks, from the split that may be trained on (split.py), so none is a test item.
"""

import argparse
import random
from pathlib import Path

from crescent.organism.build.tasks import Item, asdiv, distinct, gsm, write

PATH = Path(__file__).parents[1] / "seed_sets" / "math.jsonl"
SEVERAL_STEPS = 0.7  # share of problems with several steps; the others have one
FIELDS = ("question", "solution", "answer")


def draw(rng: random.Random) -> Item:
    """One problem, without the fields that show its origin in the grammar."""
    made = (gsm if rng.random() < SEVERAL_STEPS else asdiv)("train", rng)
    return {name: made[name] for name in FIELDS}


def seeds(seed: int, number: int) -> list[Item]:
    """`number` problems with distinct normalised questions."""
    return list(distinct(draw, random.Random(f"seeds/{seed}"), number))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--items", type=int, default=1_000)
    parser.add_argument("--out", type=Path, default=PATH)
    args = parser.parse_args()
    write(args.out, seeds(args.seed, args.items))
    print(f"{args.out}: {args.items} seeds")


if __name__ == "__main__":
    main()
