"""Answer extraction on real outputs: agreement with published verdicts, every disagreement, gold answers, speed.

    CRESCENT_BENCHMARKS=DIR python tests/bench/answer_agreement.py [--show]

Disagreements are listed by row; `--show` prints the end of each response too.
"""

import argparse
import json
import os
import time
from collections import defaultdict
from pathlib import Path

from crescent.answers import equivalent, extract


def rows(path: Path) -> list[dict]:
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--show", action="store_true")
    options = parser.parse_args()
    folder = Path(os.environ["CRESCENT_BENCHMARKS"])
    by_model: dict[str, list[tuple[int, str, dict]]] = defaultdict(list)
    for file in sorted((folder / "model_outputs").glob("*.jsonl")):
        for index, row in enumerate(rows(file)):
            for response in row["responses"]:
                by_model[response["model"]].append((index, str(row["gold"]), response))
    for model, outputs in by_model.items():
        start = time.process_time()
        answers = [extract(response["text"]) for _, _, response in outputs]
        seconds = time.process_time() - start
        wrong = [
            (index, gold, response, answer)
            for (index, gold, response), answer in zip(outputs, answers, strict=True)
            if equivalent(answer, extract(gold)) != response["correct"]
        ]
        print(
            f"{model}: {100 * (1 - len(wrong) / len(outputs)):.2f} % of {len(outputs)} verdicts, "
            f"{len(outputs) / seconds:,.0f} responses/s"
        )
        for index, gold, response, answer in wrong:
            print(f"  row {index}: extracted {answer}, gold {gold}, published verdict {response['correct']}")
            if options.show:
                print("    ..." + response["text"][-300:].replace("\n", "\n    "))
    for name in ("gsm8k/train", "gsm8k/test", "gsm_plus/testmini", "asdiv/validation"):
        golds = [str(row["answer"]) for row in rows(folder / f"{name}.jsonl")]
        missing = [gold for gold in golds if extract(f"#### {gold}") is None]
        print(f"{name}: {len(golds) - len(missing)} of {len(golds)} golds are numbers; others: {sorted(set(missing))}")


if __name__ == "__main__":
    main()
