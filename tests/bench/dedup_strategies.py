"""All dedup strategies on the organism at equal numbers of questions: diversity, acceptance, tokens spent.

    python tests/bench/dedup_strategies.py [--questions 1000] [--seeds 3] [--store outputs/bench]

Every strategy sees the same stream of candidates. Mean over the seeds, and their standard deviation. "families" counts
the kinds of problem among the kept questions that the organism's grammar can read, and the share of the commonest.
"""

import argparse
from collections import Counter
from pathlib import Path
from statistics import mean, stdev

from crescent.config.composing import composed
from crescent.core.console import Console
from crescent.core.context import StageContext
from crescent.core.records import Question
from crescent.core.store import Store
from crescent.engines import LazyEngine
from crescent.engines.identity import identity
from crescent.experiment import Experiment
from crescent.organism import world

STRATEGIES = ("none", "exact", "minhash", "drop", "rejection", "paper")
COLUMNS = (
    "candidates", "rewritten", "dropped", "tokens", "after/nearest_mean", "after/vendi", "after/distinct_2",
    "after/largest_cluster", "readable", "families", "commonest",
)  # fmt: skip


def measured(overrides: list[str], store: Store) -> dict[str, float]:
    """One strategy at one seed."""
    setup = Experiment.from_node(composed([*overrides, "tracking=none"]))
    key = identity(setup.model)
    engine = LazyEngine(key, lambda: setup.engine.build(setup.model, key))
    stages, embedder = setup.stages(), setup.embedder.build(store.root / "embeddings" / "bench")
    context = StageContext(store, engine, embedder.embed, "bench", Console(quiet=True))
    made = stages.diversify.run(context, stages.elicit.run(context))
    engine.close()
    found = [one for question in made.read(Question) if (one := world.solve(question.text))]
    families = Counter(family for family, _ in found)
    return {
        **made.info,
        "tokens": made.info["elicit_tokens"] + made.info["rewrite_tokens"],
        "readable": len(found) / made.records,
        "families": len(families),
        "commonest": families.most_common(1)[0][1] / len(found),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--store", type=Path, default=Path("outputs/bench"))
    parser.add_argument("overrides", nargs="*", help="such as dedup.min_cosine=0.7 (of strategies that have it)")
    options = parser.parse_args()
    print("| dedup | " + " | ".join(COLUMNS) + " |\n|---" * 1 + "|---" * len(COLUMNS) + "|")
    for strategy in STRATEGIES:
        rows = []
        for seed in range(options.seeds):
            fixed = [f"dedup={strategy}", f"seed={seed}", f"num_questions={options.questions}"]
            own = [one for one in options.overrides if strategy in ("drop", "rejection") or "dedup." not in one]
            rows.append(measured([*fixed, *own], Store(options.store.absolute())))
        cells = []
        for name in COLUMNS:
            values = [row[name] for row in rows]
            spread = f" ± {stdev(values):.3g}" if len(values) > 1 else ""
            cells.append(f"{mean(values):.4g}{spread}")
        print(f"| {strategy} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
