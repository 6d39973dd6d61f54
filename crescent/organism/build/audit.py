"""Explains a run's gain: `python -m crescent.organism.build.audit outputs/latest`.

In: the folder of a finished run on the organism. Out, on stdout: label accuracy against ground truth, for one draw and
for the vote; the share of plain answers with reasoning, before and after; accuracy with the step-by-step prompt, before
and after. Intervals are 95 %, normal approximation.
"""

import argparse
import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from transformers.utils.logging import disable_progress_bar

from crescent.answers import equivalent, extract
from crescent.core.records import Ballot, Question, decode_lines
from crescent.domain import fill
from crescent.engines import Completion, Sampling
from crescent.engines.transformers import TransformersSettings
from crescent.engines.transformers.engine import TransformersEngine
from crescent.engines.weights import Weights
from crescent.organism.oracle import OrganismOracle
from crescent.voting.stage import BALLOTS

ITEMS = Path(__file__).parents[1] / "tasks" / "data" / "organism_gsm.jsonl"


def share(name: str, hits: Iterable[bool]) -> str:
    """One line: a percentage with its interval."""
    seen = list(hits)
    mean = sum(seen) / max(1, len(seen))
    half = 1.96 * math.sqrt(mean * (1 - mean) / max(1, len(seen)))
    return f"  {name:<58} {100 * mean:5.1f} % ± {100 * half:.1f}  (n = {len(seen)})"


def labels(questions: Path, pairs: Path) -> list[str]:
    """Label accuracy on the questions with computable ground truth."""
    oracle = OrganismOracle()
    with open(questions / "records.jsonl", encoding="utf-8") as lines:
        texts = {one.id: one.text for one in decode_lines(Question, lines)}
    truth = {key: found for key, text in texts.items() if (found := oracle.truth(text)) is not None}
    with open(pairs / BALLOTS, encoding="utf-8") as lines:
        ballots = [one for one in decode_lines(Ballot, lines) if one.question_id in truth]
    kept = [one for one in ballots if one.chosen is not None]

    def right(ballot: Ballot, draw: int) -> bool:
        return equivalent(ballot.answers[draw] or "", truth[ballot.question_id])

    return [
        share("questions whose answer the world can compute", [key in truth for key in texts]),
        share("first draw right, all those questions", [right(ballot, 0) for ballot in ballots]),
        share("first draw right, questions that gave a pair", [right(ballot, 0) for ballot in kept]),
        share("training label right", [right(ballot, ballot.chosen or 0) for ballot in kept]),
    ]


def reasons(text: str) -> bool:
    """True if a response calculates something before its answer."""
    return " = " in text


def behaviour(name: str, engine: TransformersEngine, solve: str, items: Sequence[dict[str, Any]]) -> list[str]:
    """Greedy answers to the bare questions and to the step-by-step prompt."""
    greedy = Sampling(temperature=0, max_new_tokens=256)
    plain = engine.generate([item["question"] for item in items], greedy)
    stepwise = engine.generate([fill(solve, question=item["question"]) for item in items], greedy)

    def right(completions: Sequence[Completion], wanted: bool | None = None) -> list[bool]:
        both = zip(completions, items, strict=True)
        return [
            equivalent(extract(made.text), item["answer"])
            for made, item in both
            if wanted is None or reasons(made.text) is wanted
        ]

    return [
        share(f"{name}: plain answer reasons", [reasons(made.text) for made in plain]),
        share(f"{name}: plain answer right", right(plain)),
        share(f"{name}: plain answer right, where it reasons", right(plain, True)),
        share(f"{name}: plain answer right, where it does not", right(plain, False)),
        share(f"{name}: right when asked to think step by step", right(stepwise)),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description="Where the gain of a run on the organism comes from.")
    parser.add_argument("run", type=Path, help="the folder of a finished run")
    parser.add_argument("--items", type=int, default=500, help="items of organism_gsm to answer (default 500)")
    options = parser.parse_args()
    summary = json.loads((options.run / "summary.json").read_text(encoding="utf-8"))
    config, artifacts = summary["config"], {role: Path(path) for role, path in summary["artifacts"].items()}
    if "adapter" not in artifacts:
        parser.error(f"the run in {options.run} is not finished: its summary names no adapter yet")
    print("\n".join(["labels", *labels(artifacts["questions"], artifacts["pairs"])]))
    with open(ITEMS, encoding="utf-8") as lines:
        items = [json.loads(line) for line in lines][: options.items]
    disable_progress_bar()
    before = Weights(config["distill"]["name"], config["distill"]["student"]["path"])
    after = before.with_adapter(artifacts["adapter"] / "adapter", artifacts["adapter"].name)
    print(f"behaviour on the first {len(items)} items of organism_gsm")
    for name, weights in (("before", before), ("after", after)):
        engine = TransformersSettings().build(weights, name)
        print("\n".join(behaviour(name, engine, config["domain"]["solve"], items)))


if __name__ == "__main__":
    main()
