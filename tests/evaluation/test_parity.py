"""The real benchmarks, scored by us and by the harness run by hand on the same weights: equal to the last digit.

By hand means `lm_eval.simple_evaluate` with the harness's own HFLM and tasks, told only where the rows are. The whole
files are compared by tests/bench/harness_parity.py.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import crescent.organism
from crescent.core.console import Console
from crescent.engines.transformers.engine import TransformersEngine
from crescent.engines.weights import Weights, load
from crescent.evaluation import catalogue, harness
from crescent.evaluation.settings import EvaluationSettings

from .by_hand import compare, save_adapter

DATA = os.environ.get("CRESCENT_BENCHMARKS")
ORGANISM = Path(crescent.organism.__file__).parent
TASKS = ("gsm8k", "gsm_plus_mini", "asdiv_cot_llama")
needs_files = pytest.mark.skipif(DATA is None, reason="CRESCENT_BENCHMARKS is not set: no benchmark files here")


@needs_files
@pytest.mark.parametrize("shots", [0, 5])
@pytest.mark.parametrize("task", TASKS)
def test_a_tiny_random_llama_scores_the_same(task: str, shots: int, engine: TransformersEngine) -> None:
    compared = compare(task, shots, engine.model, engine.tokenizer, str(DATA), limit=6, max_gen_toks=16)
    assert compared.ours == compared.theirs and compared.replies_differ == 0


@needs_files
@pytest.mark.parametrize("task", ["gsm8k", *(pytest.param(task, marks=pytest.mark.slow) for task in TASKS[1:])])
def test_the_organism_scores_the_same(task: str) -> None:
    model, tokenizer = load(Weights("organism", str(ORGANISM / "weights" / "organism")), "cpu")
    compared = compare(task, 0, model, tokenizer, str(DATA), limit=12, max_gen_toks=96)
    assert compared.ours == compared.theirs and compared.replies_differ == 0


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_adapter(ORGANISM / "weights" / "organism", tmp_path_factory.mktemp("adapter"))


@pytest.mark.parametrize("loaded", ["merged", "beside the weights"])
def test_an_adapter_scores_the_same_merged_by_us_and_in_the_harness(loaded: str, adapter: Path) -> None:
    """Ours is always merged; the harness gets the merged model, or the base with peft's layers around it.

    Its HFLM would load the file's number format (bfloat16 here) where none is given.
    """
    weights = Weights("organism", str(ORGANISM / "weights" / "organism")).with_adapter(adapter, "test")
    model, tokenizer = load(weights, "cpu")
    options: dict[str, Any] = (
        {} if loaded == "merged" else {"pretrained": weights.path, "peft": str(adapter), "dtype": "float32"}
    )
    folder = str(ORGANISM / "tasks")
    compared = compare("organism_gsm", 0, model, tokenizer, None, limit=12, max_gen_toks=96, folder=folder, **options)
    assert compared.ours == compared.theirs and compared.replies_differ == 0
    assert any(0 < value < 1 for value in compared.ours.values())


def test_the_adapter_of_these_tests_changes_what_is_said(adapter: Path) -> None:
    weights = Weights("organism", str(ORGANISM / "weights" / "organism"))
    plain, changed = (load(one, "cpu")[0] for one in (weights, weights.with_adapter(adapter, "test")))
    assert not torch.equal(plain.model.layers[0].mlp.up_proj.weight, changed.model.layers[0].mlp.up_proj.weight)


@pytest.mark.slow  # indexing the harness's 14,000 task files takes it 8 seconds
def test_the_command_lm_eval_gives_our_scores_of_the_organism(tmp_path: Path) -> None:
    """The CLI, in the folder of the organism's tasks: it reads their YAML, our filter in it included."""
    weights = ORGANISM / "weights" / "organism"
    command = [
        sys.executable, "-m", "lm_eval", "run", "--model", "hf", "--device", "cpu", "--batch_size", "8",
        "--model_args", f"pretrained={weights},dtype=float32", "--tasks", "organism_gsm", "--include_path", ".",
        "--num_fewshot", "0", "--limit", "16", "--apply_chat_template", "--fewshot_as_multiturn", "true",
        "--output_path", str(tmp_path),
    ]  # fmt: skip
    done = subprocess.run(command, cwd=ORGANISM / "tasks", capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr[-2000:]
    (report,) = tmp_path.rglob("results_*.json")
    theirs: dict[str, Any] = json.loads(report.read_text())["results"]["organism_gsm"]
    settings = EvaluationSettings("x", ("organism_gsm",), (str(ORGANISM / "tasks"),), shots=(0,), limit=16)
    engine = TransformersEngine(*load(Weights("organism", str(weights)), "cpu"), "organism")
    (source,) = catalogue.find(settings)
    for score in harness.score_task(source, 0, settings, engine, Console(quiet=True)).scores:
        if score.metric == "exact_match":
            assert score.value == theirs[f"exact_match,{score.filter}"]
            assert score.stderr == theirs[f"exact_match_stderr,{score.filter}"]
