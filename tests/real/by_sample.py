"""Each sample of a task as we score it against `lm_eval` run by hand on the same real model.

    CRESCENT_BENCHMARKS=DIR python -m tests.real.by_sample [--model smollm2] [--items 50] [--tasks gsm8k ...]
        [--shots 0 5] [--tokens 64]

In: a task, a loaded model. Out: how many texts or choices, and how many scores, are not equal, and the largest
difference of two log-likelihoods. By hand means `simple_evaluate` with the harness's own HFLM and its own task; only
the rows come from files.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

import crescent.evaluation
from crescent.core.cache import models_folder
from crescent.core.console import Console
from crescent.engines.transformers.engine import TransformersEngine
from crescent.engines.weights import Weights, load
from crescent.evaluation import catalogue, harness, loading
from crescent.evaluation.metrics import as_number, primaries
from crescent.evaluation.settings import PRIMARY, EvaluationSettings
from crescent.evaluation.task_config import TaskSource

SMOLLM2 = Weights("smollm2_135m_gguf", str(models_folder() / "SmolLM2-135M-Instruct.Q4_1.gguf"))
GEMMA3 = Weights("gemma3_270m_gguf", str(models_folder() / "gemma-3-270m-q4_k_m.gguf"), template="completion")
MODELS = {"smollm2": SMOLLM2, "gemma3": GEMMA3}
OURS = Path(crescent.evaluation.__file__).parent / "tasks"
SUBJECTS = ("abstract_algebra", "anatomy", "global_facts", "high_school_geography")
TASKS = (
    "gsm8k", "asdiv_cot_llama", "gsm_plus_mini", "ifeval", "arc_easy", "arc_challenge", "hellaswag", "winogrande",
    "piqa", "truthfulqa_mc2", *(f"mmlu_{subject}" for subject in SUBJECTS),
)  # fmt: skip
FIXED = ("ifeval", "truthfulqa_mc2")  # they allow no worked examples
LOGLIKELIHOOD = 1e-4  # nats: batches of other sizes differ in their last bits
FILES = {f"mmlu_{one}": {"dev": f"mmlu/{one}/dev.jsonl", "test": f"mmlu/{one}/test.jsonl"} for one in SUBJECTS}


@dataclass(frozen=True, slots=True)
class Compared:
    """What is not equal among the samples of a task: texts or choices, scores; and the largest difference in nats."""

    items: int
    replies: int
    scores: int
    nats: float
    value: float
    """The primary score, equal on both sides where `scores` is 0."""

    @property
    def equal(self) -> bool:
        return self.replies == self.scores == 0 and self.nats <= LOGLIKELIHOOD


def plans(shots: tuple[int, ...] = (0, 5)) -> Iterator[tuple[str, int]]:
    """Every task at every number of shots that it allows."""
    for task in TASKS:
        yield from ((task, count) for count in shots if not count or task not in FIXED)


def compare(task: str, shots: int, model: Any, tokenizer: Any, data: str, items: int, tokens: int) -> Compared:
    """Scores the first `items` of a task with us and by hand, replies of at most `tokens` new tokens."""
    with tempfile.TemporaryDirectory() as folder:
        settings = EvaluationSettings(
            "real", tasks=(task,), task_folders=(str(OURS), _overlays(Path(folder), tokens)), data=data, limit=items,
            max_new_tokens=tokens,
        )  # fmt: skip
        (source,) = catalogue.find(settings)
        ours = harness.score_task(
            source, shots, settings, TransformersEngine(model, tokenizer, "x"), Console(quiet=True)
        )
        theirs = _by_hand(source, shots, model, tokenizer, items, tokens)
    by_item = _by_item(theirs["samples"][source.indexed_as])
    pairs = [(sample, by_item[sample["doc_id"]]) for sample in ours.samples]
    assert len(pairs) == len(by_item) == items, "both sides score the items asked for"
    marks = primaries(ours.scores, PRIMARY)
    (value,) = [score.value for score, marked in zip(ours.scores, marks, strict=True) if marked and score.task == task]
    return Compared(
        items,
        sum(_choice(one["response"]) != _choice(other["response"]) for one, other in pairs),
        sum(
            abs(one["metrics"][key] - number) > LOGLIKELIHOOD  # a probability made of log-likelihoods is no closer
            for one, other in pairs
            for key, number in other["metrics"].items()
        ),
        max(_nats(one["response"], other["response"]) for one, other in pairs),
        value,
    )


def _overlays(folder: Path, tokens: int) -> str:
    """Where tasks that Crescent has no YAML for find their files, and IFEval with fewer new tokens than its 1,280."""
    for task, files in FILES.items():
        node = {"task": task, "extends": "harness", "dataset_kwargs": {"data_files": files}}
        (folder / f"{task}.yaml").write_text(yaml.safe_dump(node))
    short = {"until": [], "do_sample": False, "temperature": 0.0, "max_gen_toks": tokens}
    ifeval = {**yaml.safe_load((OURS / "ifeval.yaml").read_text()), "generation_kwargs": short}
    (folder / "ifeval.yaml").write_text(yaml.safe_dump(ifeval))
    return str(folder)


def _by_hand(source: TaskSource, shots: int, model: Any, tokenizer: Any, items: int, tokens: int) -> dict[str, Any]:
    from lm_eval.evaluator import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    build: Any = HFLM  # their decorators hide their parameters from type checkers
    evaluate: Any = simple_evaluate
    files = {split: [str(path) for path in paths] for split, paths in source.files.items()}
    rows = {"dataset_path": "json", "dataset_name": None, "dataset_kwargs": {"data_files": files}}
    with loading.quiet():
        return evaluate(
            build(pretrained=model, tokenizer=tokenizer, batch_size=1 if source.generates else 8),
            tasks=[{"group": "by_hand", "task": [{"task": source.indexed_as, **rows}]}],
            num_fewshot=shots,
            limit=items,
            gen_kwargs={"max_gen_toks": tokens} if source.generates else None,
            task_manager=TaskManager(include_path=str(source.root), include_defaults=False),
            apply_chat_template=True,
            fewshot_as_multiturn=True,
            bootstrap_iters=0,
        )


def _by_item(samples: list[Mapping[str, Any]]) -> dict[int, dict[str, Any]]:
    """Each item's reply and numbers; the harness lists an item once for each filter."""
    found: dict[int, dict[str, Any]] = {}
    for seen in samples:
        replies = [one[0] if len(one) == 1 else one for one in seen["resps"]]
        item = found.setdefault(
            seen["doc_id"], {"metrics": {}, "response": replies[0] if len(replies) == 1 else replies}
        )
        for metric in seen["metrics"]:
            if (number := as_number(seen[metric])) is not None:
                item["metrics"][f"{metric},{seen['filter']}"] = number
    return found


def _choice(reply: Any) -> Any:
    """A text, or which of the choices is the likeliest and which of them are greedy."""
    if isinstance(reply, str):
        return reply
    chances = [one[0] for one in reply]
    return chances.index(max(chances)), [one[1] for one in reply]


def _nats(one: Any, other: Any) -> float:
    return 0.0 if isinstance(one, str) else max(abs(a[0] - b[0]) for a, b in zip(one, other, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=MODELS, default="smollm2")
    parser.add_argument("--items", type=int, default=50)
    parser.add_argument("--tokens", type=int, default=64, help="most new tokens of a reply")
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=TASKS)
    parser.add_argument("--shots", nargs="+", type=int, default=[0, 5])
    options = parser.parse_args()
    data = os.environ.get("CRESCENT_BENCHMARKS") or sys.exit("set CRESCENT_BENCHMARKS to the folder of benchmark files")
    model, tokenizer = load(MODELS[options.model], "cpu")
    for task, shots in plans(tuple(options.shots)):
        if task in options.tasks:
            start = time.monotonic()
            done = compare(task, shots, model, tokenizer, data, options.items, options.tokens)
            print(
                f"{task:26} {shots}-shot  n {done.items:4}  score {done.value:.4f}  replies that differ {done.replies}"
                f"  scores that differ {done.scores}  largest difference {done.nats:.1e} nats  "
                f"{time.monotonic() - start:.0f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
