"""Which examples each optimiser step takes: a function of (lengths, batch size, epochs, seed, pool) and nothing else.

In: the lengths of all examples. Out: the steps of the whole run, in order. Because it is a plan and not a stream, a
killed run goes on at any step with exactly the batches that are left.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """One optimiser step: `number` counts from 1 over all epochs, `epoch` from 1; `rows` are indices, short first."""

    number: int
    epoch: int
    rows: tuple[int, ...]


def plan_steps(lengths: Sequence[int], batch_size: int, epochs: int, seed: int, pool_batches: int = 16) -> list[Step]:
    """Every example once an epoch. So many batches are sorted by length together, and shuffled: more means less padding
    and batches that are less mixed, 1 a plain random order."""
    steps: list[Step] = []
    for epoch in range(1, epochs + 1):
        for rows in _epoch_batches(lengths, batch_size, pool_batches, random.Random(f"{seed}/{epoch}")):
            steps.append(Step(len(steps) + 1, epoch, tuple(rows)))
    return steps


def _epoch_batches(
    lengths: Sequence[int], batch_size: int, pool_batches: int, chance: random.Random
) -> list[list[int]]:
    order = list(range(len(lengths)))
    chance.shuffle(order)
    batches: list[list[int]] = []
    pool = batch_size * pool_batches
    for start in range(0, len(order), pool):
        rows = sorted(order[start : start + pool], key=lambda row: lengths[row])
        batches += [rows[i : i + batch_size] for i in range(0, len(rows), batch_size)]
    chance.shuffle(batches)
    return batches
