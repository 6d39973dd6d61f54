"""Which learning rate becomes the default, by the rule of experiments/LOG.md, study 0.

python tests/bench/choose_learning_rate.py multirun/learning_rate/*

In: finished jobs of `crescent -m +sweeps=learning_rate`. Out: student minus base in points by task and shots, gain and
retention of each rate, and the rate that the rule takes.
"""

import json
import statistics
import sys
from collections import defaultdict
from pathlib import Path

MATH = ("organism_gsm_dev", "organism_asdiv_dev", "organism_plus_dev")
OTHERS = ("organism_general_dev", "organism_ordering_dev")
GAIN = [(task, 0) for task in MATH]
RETENTION = [*((task, 5) for task in (*MATH, *OTHERS)), *((task, 0) for task in OTHERS)]
MARGIN, TIE = 1.0, 0.3  # points


def differences(job: Path) -> tuple[float, dict[tuple[str, int], float]]:
    """The job's learning rate, and student minus base in points by task and shots."""
    summary = json.loads((job / "summary.json").read_text(encoding="utf-8"))
    scores = {
        (score["model"], score["task"], score["shots"]): 100 * score["value"]
        for score in summary["scores"]
        if score["primary"]
    }
    rate = next(float(one.partition("=")[2]) for one in summary["overrides"] if one.startswith("train.learning_rate="))
    return rate, {place: scores["student", *place] - scores["base", *place] for place in [*GAIN, *RETENTION]}


def main() -> None:
    jobs = [Path(name) for name in sys.argv[1:] if (Path(name) / "summary.json").exists()]
    seeds: dict[float, list[dict[tuple[str, int], float]]] = defaultdict(list)
    for job in jobs:
        rate, found = differences(job)
        seeds[rate].append(found)
    print(
        "| rate | seeds |", " | ".join(f"{task.split('_')[1]} {shots}" for task, shots in [*GAIN, *RETENTION]), end=""
    )
    print(" | gain | retention |\n|" + "---|" * (len(GAIN) + len(RETENTION) + 4))
    gain, retention = {}, {}
    for rate, found in sorted(seeds.items()):
        mean = {place: statistics.fmean(one[place] for one in found) for place in [*GAIN, *RETENTION]}
        gain[rate] = statistics.fmean(mean[place] for place in GAIN)
        retention[rate] = statistics.fmean(mean[place] for place in RETENTION)
        cells = " | ".join(f"{value:+.1f}" for value in mean.values())
        print(f"| {rate:g} | {len(found)} | {cells} | {gain[rate]:+.2f} | {retention[rate]:+.2f} |")
    near = [rate for rate in gain if gain[rate] >= max(gain.values()) - MARGIN]
    best = max(retention[rate] for rate in near)
    chosen = min(rate for rate in near if retention[rate] >= best - TIE)
    print(f"gain within {MARGIN} of the largest: {', '.join(f'{rate:g}' for rate in sorted(near))}; chosen: {chosen:g}")


if __name__ == "__main__":
    main()
