"""Cleaning on real texts: questions of benchmarks by task, and what is kept of a file of raw texts, with reasons.

    CRESCENT_BENCHMARKS=DIR python tests/bench/cleaning_agreement.py [--texts FILE] [--show N]

FILE: JSON lines with `text` and `finish_reason`, as those of the stage `elicit`. `--show`: N texts a reason.
"""

import argparse
import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from crescent.elicitation import clean_question

FIELDS = {
    "gsm8k": "question", "gsm_plus": "question", "asdiv": "body question", "arc_*": "question", "mmlu/*": "question",
    "commonsense_qa": "question", "truthful_qa": "question", "openbookqa": "question_stem", "winogrande": "sentence",
    "piqa": "goal", "ifeval": "prompt", "hellaswag": "ctx",
}  # fmt: skip
"""What a task asks with; `piqa`, `hellaswag` and many of `openbookqa` state beginnings, and no questions."""


def rows(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def tasks(folder: Path) -> Iterator[tuple[str, list[str]]]:
    for pattern, fields in FIELDS.items():
        files = sorted(folder.glob(f"{pattern}/*.jsonl"))
        yield pattern, [" ".join(str(row[field]) for field in fields.split()) for file in files for row in rows(file)]


def same(question: str, text: str) -> bool:
    return question.split() == text.split()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=Path)
    parser.add_argument("--show", type=int, default=0)
    options = parser.parse_args()
    for task, texts in tasks(Path(os.environ["CRESCENT_BENCHMARKS"])):
        cleaned = [(text, clean_question(text, "stop", 1, 10**6).question) for text in texts]
        whole = sum(question is not None and same(question, text) for text, question in cleaned)
        lost = sum(question is not None and not same(question, text) for text, question in cleaned)
        print(f"{task}: {whole / len(texts):.2%} of {len(texts):,} unchanged, {lost} lose text")
    if options.texts:
        by_reason: dict[str, list[str]] = defaultdict(list)
        for row in rows(options.texts):
            got = clean_question(row["text"], row["finish_reason"])
            kept = "ok, as it stands" if got.question and same(got.question, row["text"]) else got.reason
            by_reason[kept].append(row["text"] if got.question is None else got.question)
        for reason, count in Counter({reason: len(texts) for reason, texts in by_reason.items()}).most_common():
            print(f"{reason}: {count}")
            for text in by_reason[reason][: options.show]:
                print("  " + text[:400].replace("\n", "\n  "))


if __name__ == "__main__":
    main()
