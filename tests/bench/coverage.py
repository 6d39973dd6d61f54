"""How often the intervals of `crescent.statistics.paired` hold the truth: python tests/bench/coverage.py [N]

Every line is one kind of data set, simulated N times (default 4,000: the share's standard error is 0.34 points).
"gain" and "loss" are the true shares of questions that become right and wrong; groups share their chances (a Dirichlet
of that concentration), seeds shift the share of gains by a normal number of the given standard deviation.
"""

import sys
import time

import numpy as np

from crescent.statistics.paired import paired_difference

PLAIN = [(20, 0.25, 0.1), (50, 0.25, 0.1), (100, 0.2, 0.1), (500, 0.2, 0.1), (1319, 0.1, 0.08)]
RARE = [(100, 0.05, 0.02), (300, 0.02, 0.01), (500, 0.01, 0.01), (1319, 0.01, 0.005)]
ANY_RARE = (100, 300, 1319)
MANY = [(100, 0.6, 0.05), (500, 0.9, 0.02)]
CLUSTERED = [(20, 8, 0.2, 0.1), (60, 8, 0.2, 0.1), (250, 8, 0.1, 0.05), (100, 3, 0.03, 0.01)]
SEEDS = [(2, 0.0), (2, 0.02), (3, 0.0), (3, 0.02), (3, 0.05), (5, 0.0), (5, 0.02), (5, 0.05)]


def covered(changes: np.ndarray, truth: float, names: list[str] | None = None) -> bool:
    """Whether the interval of one data set holds the truth."""
    found = paired_difference(changes, np.zeros(changes.shape[-1]), names)
    return found.low <= truth <= found.high


def plain(draw: np.random.Generator, size: int, gain: float, loss: float) -> bool:
    at = draw.random(size)
    return covered((at < gain).astype(float) - (at > 1 - loss), gain - loss)


def any_rare(draw: np.random.Generator, size: int) -> bool:
    """Gain and loss drawn anew from 0.005 to 0.06: for fixed ones, coverage jumps because counts are whole numbers."""
    gain, loss = draw.uniform(0.005, 0.06, 2)
    return plain(draw, size, gain, loss)


def clustered(draw: np.random.Generator, groups: int, members: int, gain: float, loss: float, uneven: bool) -> bool:
    """Sizes are `members`, or 1 to `members`; concentration 3."""
    sizes = draw.integers(1, members + 1, groups) if uneven else np.full(groups, members)
    group = np.repeat(np.arange(groups), sizes)
    own = draw.dirichlet(np.array([gain, loss, 1 - gain - loss]) * 3, groups)[group]
    at = draw.random(len(group))
    return covered((at < own[:, 0]).astype(float) - (at > 1 - own[:, 1]), gain - loss, [str(one) for one in group])


def seeded(draw: np.random.Generator, seeds: int, size: int, spread: float) -> bool:
    """Gain 0.3, loss 0.15; questions keep their chances over the seeds (concentration 2)."""
    own = draw.dirichlet(np.array([0.3, 0.15, 0.55]) * 2, size)
    at = draw.random((seeds, size))
    changes = (at < own[:, 0]).astype(float) - (at > 1 - own[:, 1])
    shift = draw.normal(0, spread, (seeds, 1))
    moved = (draw.random((seeds, size)) < np.abs(shift)) & (changes == 0)  # unchanged questions move with the seed
    changes = np.where(moved, np.sign(shift), changes)
    return covered(changes, 0.15)


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 4000
    cases: list[tuple[str, object]] = []
    for size, gain, loss in (*PLAIN, *RARE, *MANY):
        cases.append((f"{size} questions, gain {gain}, loss {loss}", (plain, size, gain, loss)))
    for size in ANY_RARE:
        cases.append((f"{size} questions, gain and loss anywhere from 0.005 to 0.06", (any_rare, size)))
    for groups, members, gain, loss in CLUSTERED:
        for uneven in (False, True):
            sizes = f"1 to {members}" if uneven else f"{members}"
            name = f"{groups} groups of {sizes}, gain {gain}, loss {loss}"
            cases.append((name, (clustered, groups, members, gain, loss, uneven)))
    for seeds, spread in SEEDS:
        cases.append((f"{seeds} seeds x 300 questions, SD of seeds {spread}", (seeded, seeds, 300, spread)))
    start = time.monotonic()
    for name, (function, *settings) in cases:  # type: ignore[misc]
        draw = np.random.default_rng(0)
        share = np.mean([function(draw, *settings) for _ in range(count)])
        print(f"{share:7.2%}  {name}", flush=True)
    print(f"{count:,} data sets each, {time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    main()
