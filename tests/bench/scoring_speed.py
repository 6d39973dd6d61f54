"""Is scoring through the engine slower than the harness's own HFLM? Both in one run, turn about, on the same model.

    CRESCENT_BENCHMARKS=DIR python tests/bench/scoring_speed.py [--model organism|smollm2] [--limit 200] [--repeats 3]
        [--batch 64] [--tasks ...] [--clock wall|cpu]

Tasks: organism_gsm (0-shot), gsm8k (5-shot; needs CRESCENT_BENCHMARKS), choice (a multiple-choice file in the format of
ARC that is made here, 5-shot). HFLM runs with `--batch` rows; our engine forms its batches itself for what is
generated, and takes `--batch` for log-likelihoods. Printed: seconds of each turn, the medians and their ratio; replies
are compared. `--clock cpu`: CPU seconds, so that other work on the machine does not count.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from evaluation.by_hand import FOLDER, ROWS
from evaluation.general_files import arc, write

import crescent.organism
from crescent.core.cache import models_folder
from crescent.core.console import Console
from crescent.engines.transformers.engine import TransformersEngine
from crescent.engines.weights import Weights, load
from crescent.evaluation import catalogue, harness, loading
from crescent.evaluation.settings import EvaluationSettings

SMOLLM2 = "SmolLM2-135M-Instruct.Q4_1.gguf"
ORGANISM = Path(crescent.organism.__file__).parent


def clock() -> float:
    """Seconds of the clock, or of the CPU with `--clock cpu`."""
    return time.process_time() if "cpu" in sys.argv else time.monotonic()


def settings(task: str, data: str | None, limit: int, batch: int) -> EvaluationSettings:
    folder = str(ORGANISM / "tasks") if task.startswith("organism") else FOLDER
    return EvaluationSettings(
        "speed", (task,), (folder,), data, limit=limit, max_new_tokens=96, loglikelihood_batch=batch
    )


def ours(engine: TransformersEngine, suite: EvaluationSettings, shots: int) -> tuple[float, dict[int, Any]]:
    """Seconds of `score_task`, data and scores included, and the replies."""
    (source,) = catalogue.find(suite)
    start = clock()
    result = harness.score_task(source, shots, suite, engine, Console(quiet=True))
    return clock() - start, {sample["doc_id"]: sample["response"] for sample in result.samples}


def theirs(
    engine: TransformersEngine, suite: EvaluationSettings, shots: int, batch: int
) -> tuple[float, dict[int, Any]]:
    """Seconds of the harness with HFLM, data and scores included, and the replies."""
    from lm_eval.evaluator import evaluate
    from lm_eval.models.huggingface import HFLM

    build: Any = HFLM
    run: Any = evaluate
    (source,) = catalogue.find(suite)
    start = clock()
    with loading.quiet():
        loaded = loading.load(source, shots, suite)
        for task in loaded["tasks"].values():
            if task.OUTPUT_TYPE == "generate_until":
                task.config.generation_kwargs.setdefault("max_gen_toks", suite.max_new_tokens)
        lm = build(pretrained=engine.model, tokenizer=engine.tokenizer, batch_size=batch, max_batch_size=batch)
        done = run(
            lm=lm, task_dict=loaded, limit=suite.limit, bootstrap_iters=1, apply_chat_template=True,
            fewshot_as_multiturn=True,
        )  # fmt: skip
    seconds = clock() - start
    samples = done["samples"][source.name]
    return seconds, {one["doc_id"]: _reply(one["resps"]) for one in samples}


def _reply(resps: list[Any]) -> Any:
    return resps[0][0] if len(resps) == 1 else [list(one[0]) for one in resps]


def equal(first: Any, second: Any) -> bool:
    """Texts as they are; choices by whether the same is the likeliest."""
    if isinstance(first, str):
        return first == second
    return max(range(len(first)), key=lambda i: first[i][0]) == max(range(len(second)), key=lambda i: second[i][0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=("organism", "smollm2"), default="organism")
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    parser.add_argument("--limit", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--tasks", nargs="+", default=["organism_gsm", "gsm8k", "choice"])
    options = parser.parse_args()
    data = os.environ.get("CRESCENT_BENCHMARKS")
    models = {"organism": ORGANISM / "weights" / "organism", "smollm2": models_folder() / SMOLLM2}
    engine = TransformersEngine(*load(Weights(options.model, str(models[options.model])), "cpu"), options.model)
    with tempfile.TemporaryDirectory() as made:
        write(Path(made) / "arc_challenge" / "train.jsonl", [arc(number) for number in range(1000, 1100)])
        write(Path(made) / "arc_challenge" / "test.jsonl", [arc(number) for number in range(options.limit)])
        for name in options.tasks:
            if name in ROWS and data is None:
                print(f"{name}: CRESCENT_BENCHMARKS is not set; left out")
                continue
            task, shots = ("arc_challenge" if name == "choice" else name), (0 if name == "organism_gsm" else 5)
            where = made if name == "choice" else data if name in ROWS else None
            suite = settings(task, where, options.limit, options.batch)
            warm = replace(suite, limit=2)
            ours(engine, warm, shots)
            theirs(engine, warm, shots, options.batch)
            turns = []
            for turn in range(options.repeats):
                if turn % 2:
                    second, expected = theirs(engine, suite, shots, options.batch)
                    first, replies = ours(engine, suite, shots)
                else:
                    first, replies = ours(engine, suite, shots)
                    second, expected = theirs(engine, suite, shots, options.batch)
                differ = sum(not equal(replies[item], expected[item]) for item in expected)
                turns.append((first, second))
                print(f"{name}, {shots}-shot: ours {first:.2f} s, HFLM {second:.2f} s, replies that differ {differ}")
            middle, other = (statistics.median(turn[side] for turn in turns) for side in (0, 1))
            print(f"{name}, {shots}-shot, {options.limit} items: median ours {middle:.2f} s, HFLM {other:.2f} s, "
                  f"HFLM / ours {other / middle:.2f}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
