"""Adaptive against fixed voting: label accuracy against draws spent, replayed, and wall time and tokens of real runs.

    python tests/bench/adaptive_votes.py [--questions 1000] [--draws 16] [--permutations 200] [--store outputs/bench]

The organism writes questions whose true answer its world knows, and answers each `--draws` times. The draws of every
question are put in random orders; for each order every rule votes (ties: the first answer) and stops where it would
have stopped. Differences are paired by question; intervals are 95 %, questions as the unit. Then blocks of the same
questions are answered anew by fixed and adaptive voting in turn, each with an empty ledger.
"""

import argparse
import random
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from statistics import geometric_mean, mean, stdev
from typing import Any

import numpy as np

from crescent.answers import equivalent, extract
from crescent.config.composing import composed
from crescent.core.console import Console
from crescent.core.context import StageContext
from crescent.core.records import Question, Solution
from crescent.core.store import Key, Outcome, Store
from crescent.engines import LazyEngine
from crescent.engines.identity import identity
from crescent.experiment import Experiment
from crescent.organism.oracle import OrganismOracle
from crescent.voting.rules import Adaptive, Majority, Rule, draws_consumed
from crescent.voting.stage import Vote

LEVELS = (0.6, 0.7, 0.8, 0.9, 0.95, 0.99)


def experiment(count: int) -> Experiment:
    return Experiment.from_node(composed([f"num_questions={count}", "dedup=exact", "tracking=none"]))


class Bench:
    """The questions, and the ways to answer them."""

    def __init__(self, store: Path, count: int, wanted: int) -> None:
        self.setup, self.store = experiment(count), Store(store.absolute())
        key, embedder = identity(self.setup.model), self.setup.embedder.build()
        engine = LazyEngine(key, lambda: self.setup.engine.build(self.setup.model, key))
        self.context = StageContext(self.store, engine, embedder.embed, "bench", Console())
        stages, oracle = self.setup.stages(), OrganismOracle()
        asked = stages.diversify.run(self.context, stages.elicit.run(self.context))
        truths = {question: oracle.truth(question.text) for question in asked.read(Question)}
        known = [(question, truth) for question, truth in truths.items() if truth is not None][:wanted]
        self.questions, self.truths = [question for question, _ in known], [truth for _, truth in known]

    def answer(self, rule: Rule, store: Store, questions: Sequence[Question]) -> Sequence[Sequence[Solution]]:
        """Solutions of each question, drawn as far as the rule wants them."""
        about = Key("bench", 1, [question.id for question in questions])
        asked = store.build(about, lambda _work: Outcome(questions))
        context = replace(self.context, store=store)
        return list(map(list, self.setup.stages().answer.run(context, asked, until=Vote(rule, "number")).solutions))


def pattern(answers: Sequence[str | None]) -> tuple[int, ...]:
    """Answers as numbers in the order they came up, -1 for none: all that a rule that chooses the first looks at."""
    names: dict[str, int] = {}
    return tuple(-1 if answer is None else names.setdefault(answer, len(names)) for answer in answers)


@cache
def stopped(rule: Rule, shape: tuple[int, ...]) -> tuple[int, int | None]:
    """(draws made, index of the chosen draw or None)."""
    answers = [None if value < 0 else str(value) for value in shape]
    blank = [Solution("q", draw, "", "stop", 0, 0.0) for draw in range(len(shape))]
    count = draws_consumed(rule, blank, answers)
    return count, rule.decide(blank[:count], answers[:count]).chosen


def replay(rules: dict[str, Rule], answers: list[list[str | None]], right: list[list[bool]], orders: int) -> Any:
    """{rule: (accuracy [questions], draws [questions])}, means over the orders, and how often exact differs."""
    rng = random.Random(0)
    hits = {name: np.zeros(len(answers)) for name in rules}
    spent = {name: np.zeros(len(answers)) for name in rules}
    differs = 0
    fixed = f"fixed {len(answers[0])}"
    for index, given in enumerate(answers):
        for _ in range(orders):
            order = rng.sample(range(len(given)), len(given))
            shape = pattern([given[at] for at in order])
            chosen = {}
            for name, rule in rules.items():
                count, chosen[name] = stopped(rule, shape)
                spent[name][index] += count
                hits[name][index] += chosen[name] is not None and right[index][order[chosen[name]]]
            differs += chosen["exact"] != chosen[fixed]
    return {name: (hits[name] / orders, spent[name] / orders) for name in rules}, differs


def interval(values: np.ndarray) -> str:
    """Mean ± half width, in points."""
    return f"{100 * values.mean():+.2f} ± {196 * values.std(ddof=1) / np.sqrt(len(values)):.2f}"


def report(results: Any, most: int) -> None:
    """The curve, and each adaptive rule against it."""
    full = results[f"fixed {most}"][0]
    curve = np.stack([results[f"fixed {k}"][0] for k in range(1, most + 1)], axis=1)
    print("| rule | draws a question | label accuracy % | minus the fixed curve at as many draws | minus fixed, all |")
    print("|---|---|---|---|---|")
    for name, (accuracy, draws) in results.items():
        at = draws.mean() - 1
        low, share = int(at), at - int(at)
        same = curve[:, low] * (1 - share) + curve[:, min(low + 1, most - 1)] * share
        against = "" if name.startswith("fixed") else interval(accuracy - same)
        print(
            f"| {name} | {draws.mean():.2f} | {100 * accuracy.mean():.2f} | {against} | {interval(accuracy - full)} |"
        )


def race(bench: Bench, rules: dict[str, Rule], blocks: int) -> None:
    """Seconds and tokens of each rule on each block of questions, ratios to fixed."""
    size = len(bench.questions) // blocks
    seconds: dict[str, list[float]] = {name: [] for name in rules}
    tokens: dict[str, list[int]] = {name: [] for name in rules}
    for block in range(blocks):
        questions = bench.questions[block * size : (block + 1) * size]
        for name in random.Random(block).sample(list(rules), len(rules)):
            with tempfile.TemporaryDirectory() as folder:
                start = time.monotonic()
                made = bench.answer(rules[name], Store(Path(folder)), questions)
                seconds[name].append(time.monotonic() - start)
                tokens[name].append(sum(one.new_tokens for draws in made for one in draws))
    print(f"\n{blocks} blocks of {size} questions, answered anew by each rule in random turn:")
    print("| rule | seconds | tokens | time / fixed (spread of the blocks) | tokens / fixed |")
    print("|---|---|---|---|---|")
    for name in rules:
        ratios = [a / b for a, b in zip(seconds[name], seconds["fixed"], strict=True)]
        spread = f"± {stdev(ratios):.2f}" if blocks > 1 else ""
        share = sum(tokens[name]) / sum(tokens["fixed"])
        print(
            f"| {name} | {mean(seconds[name]):.1f} | {mean(tokens[name]):,.0f} | {geometric_mean(ratios):.2f} {spread} "
            f"| {share:.2f} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=1000)
    parser.add_argument("--draws", type=int, default=16)
    parser.add_argument("--permutations", type=int, default=200)
    parser.add_argument("--blocks", type=int, default=3, help="of the timed runs; 0 leaves them out")
    parser.add_argument("--store", type=Path, default=Path("outputs/bench"))
    options = parser.parse_args()
    bench = Bench(options.store, options.questions * 5 // 4, options.questions)
    made = bench.answer(Majority(draws=options.draws, tie="first"), bench.store, bench.questions)
    answers = [[extract(one.text) for one in draws] for draws in made]
    right = [[equivalent(a or "", truth) for a in row] for row, truth in zip(answers, bench.truths, strict=True)]
    rules: dict[str, Rule] = {f"fixed {k}": Majority(draws=k, tie="first") for k in range(1, options.draws + 1)}
    rules["exact"] = Adaptive(draws=options.draws, stop="exact", tie="first")
    for level in LEVELS:
        rules[f"confident {level}"] = Adaptive(draws=options.draws, confidence=level, tie="first")
    results, differs = replay(rules, answers, right, options.permutations)
    print(f"{len(answers)} questions, {options.draws} draws, {options.permutations} orders")
    report(results, options.draws)
    print(f"\nexact differs from fixed {options.draws} in {differs} of {len(answers) * options.permutations:,} votes")
    if options.blocks:
        race(
            bench,
            {
                "fixed": Majority(draws=options.draws, tie="first"),
                "exact": rules["exact"],
                "confident 0.95": rules["confident 0.95"],
            },
            options.blocks,
        )


if __name__ == "__main__":
    main()
