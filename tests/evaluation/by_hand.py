"""A task scored by us and by the harness alone, on the same weights; used by the parity tests and their bench."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import crescent.evaluation
from crescent.core.console import Console
from crescent.engines.transformers.engine import TransformersEngine
from crescent.evaluation import catalogue, harness, loading
from crescent.evaluation.metrics import COSTS
from crescent.evaluation.settings import EvaluationSettings

FOLDER = str(Path(crescent.evaluation.__file__).parent / "tasks")
ROWS = {  # where the harness is to read the rows of its own tasks
    "gsm8k": {"train": "gsm8k/train.jsonl", "test": "gsm8k/test.jsonl"},
    "gsm_plus_mini": {"testmini": "gsm_plus/testmini.jsonl"},
    "asdiv_cot_llama": {"validation": "asdiv/validation.jsonl"},
}


@dataclass(frozen=True, slots=True)
class Compared:
    """Scores and standard errors by "metric,filter" on both sides, and how many replies are not equal."""

    ours: dict[str, float]
    theirs: dict[str, float]
    replies_differ: int
    items: int


def compare(
    task: str, shots: int, model: Any, tokenizer: Any, data: str | None, limit: int | None, max_gen_toks: int,
    folder: str = FOLDER, batch_size: int = 8, **hflm: Any,
) -> Compared:  # fmt: skip
    """Our scores of `model` against those of HFLM, around the same model or, with `hflm`, around what that loads."""
    settings = EvaluationSettings(
        "parity", tasks=(task,), task_folders=(folder,), data=data, limit=limit, max_new_tokens=max_gen_toks
    )
    (source,) = catalogue.find(settings)
    ours = harness.score_task(source, shots, settings, TransformersEngine(model, tokenizer, "x"), Console(quiet=True))
    theirs = by_hand(
        task,
        shots,
        source.root,
        data,
        limit,
        max_gen_toks,
        batch_size,
        {"pretrained": model, "tokenizer": tokenizer, **hflm},
    )
    found = {f"{one.metric},{one.filter}": one.value for one in ours.scores if _of(one, task)}
    errors = {f"{one.metric}_stderr,{one.filter}": one.stderr for one in ours.scores if _of(one, task)}
    reported = {key: value for key, value in theirs["results"][task].items() if "," in key}
    if "exact_match,crescent" not in reported:  # the filter that the harness's own task does not have
        del found["exact_match,crescent"], errors["exact_match_stderr,crescent"]
    said = {one["doc_id"]: one["resps"][0][0] for one in theirs["samples"][task]}
    differ = sum(said[sample["doc_id"]] != sample["response"] for sample in ours.samples)
    return Compared(found | errors, reported, differ, len(ours.samples))


def by_hand(
    task: str,
    shots: int,
    root: Path,
    data: str | None,
    limit: int | None,
    max_gen_toks: int,
    batch_size: int,
    hflm: dict[str, Any],
) -> dict[str, Any]:
    """`lm_eval.simple_evaluate` with the harness's HFLM and its own task; only the rows come from files."""
    from lm_eval.evaluator import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    build: Any = HFLM  # their decorators hide their parameters from type checkers
    evaluate: Any = simple_evaluate
    spec: Any = {"task": task, "dataset_path": "json", "dataset_name": None}
    if data is not None:
        spec["dataset_kwargs"] = {"data_files": {split: f"{data}/{file}" for split, file in ROWS[task].items()}}
    else:
        files = {split: f"{root}/data/{task}{end}.jsonl" for split, end in (("test", ""), ("train", "_shots"))}
        spec["dataset_kwargs"] = {"data_files": files}
    with loading.quiet():
        return evaluate(
            build(batch_size=batch_size, device="cpu", **hflm),
            tasks=[{"group": "by_hand", "task": [spec]}],
            num_fewshot=shots,
            limit=limit,
            gen_kwargs={"max_gen_toks": max_gen_toks},
            task_manager=TaskManager(include_path=str(root), include_defaults=False),
            apply_chat_template=True,
            fewshot_as_multiturn=True,
            bootstrap_iters=100,
        )


def save_adapter(model: Path, folder: Path) -> Path:
    """A LoRA adapter with weights that are not zero, as peft saves one."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    config = LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", task_type="CAUSAL_LM")
    peft: Any = get_peft_model(AutoModelForCausalLM.from_pretrained(model), config)
    with torch.no_grad():
        for name, parameter in peft.named_parameters():
            if "lora_B" in name:
                parameter.normal_(0, 0.01)
    peft.save_pretrained(folder)
    return folder


def _of(score: Any, task: str) -> bool:
    return score.task == task and score.metric not in COSTS
