"""Which examples each optimiser step uses: a function of (lengths, batch size, epochs, seed, pool) only.

In: the lengths of all examples. Out: the steps of the whole run, in order. Because it is a plan rather than a stream, a
killed run resumes at any step with exactly the remaining batches.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """One optimiser step: `number` counts from 1 over all epochs, `epoch` from 1; `rows` are indices, shortest
    first."""

    number: int
    epoch: int
    rows: tuple[int, ...]


def plan_steps(lengths: Sequence[int], batch_size: int, epochs: int, seed: int, pool_batches: int = 16) -> list[Step]:
    """Uses every example once per epoch. `pool_batches` batches are sorted by length together, then shuffled: more
    means less padding but less mixed batches; 1 is a plain random order."""
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
