"""How many of a model's first texts are questions, by how it is brought to ask: one row for each set of overrides.

    python tests/bench/openings.py COUNT TEXTS.jsonl 'OVERRIDES' ['OVERRIDES' ...]

Each OVERRIDES is a quoted list, such as 'model=smollm2_135m_gguf elicit=pre_query'. The texts, with what is kept of
each, are appended to TEXTS.jsonl.
"""

import json
import shlex
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

from crescent.config.composing import composed
from crescent.elicitation import clean_question
from crescent.experiment import Experiment


def row(overrides: str, count: int, texts: Path) -> str:
    node = composed(shlex.split(overrides))
    made = Experiment.from_node(node).resolved()
    stage = replace(made.stages().elicit, samples_per_round=count)
    engine = made.engine.build(made.model, "bench")
    began = time.perf_counter()
    completions = engine.generate(stage.prompts(0), stage.asking)
    seconds = time.perf_counter() - began
    limits = made.domain.min_chars, made.domain.max_chars
    cleaned = [clean_question(one.text, one.finish_reason, *limits) for one in completions]
    with texts.open("a", encoding="utf-8") as file:
        for one, kept in zip(completions, cleaned, strict=True):
            line = {"overrides": overrides, "text": one.text, "finish_reason": one.finish_reason}
            file.write(json.dumps({**line, "question": kept.question, "reason": kept.reason}) + "\n")
    kept = [one.question for one in cleaned if one.question is not None]
    numbers = sum(sum(map(str.isdigit, question)) > 1 for question in kept)
    reasons = ", ".join(f"{reason} {number}" for reason, number in Counter(one.reason for one in cleaned).most_common())
    tokens = sum(one.new_tokens for one in completions) / count
    return f"{overrides} | {len(kept)} | {len(set(kept))} | {numbers} | {tokens:.0f} | {seconds:.0f} s | {reasons}"


def main() -> None:
    count, texts, *all_overrides = sys.argv[1:]
    print("overrides | kept | different | with two digits or more | tokens a text | time | reasons")
    for overrides in all_overrides:
        print(row(overrides, int(count), Path(texts)), flush=True)


if __name__ == "__main__":
    main()
