"""vLLM in this process's care, for real: adapters, memory given back, a process that ends, iterations on a student.

`make test-vllm` makes the environment that these need; `test_vllm_settings.py` holds what can be tested without.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from conftest import save_random_adapter
from serving_vllm import NEEDS_VLLM

from crescent.engines import Prompt, Sampling
from crescent.engines.transformers import TransformersSettings
from crescent.engines.vllm import VllmSettings
from crescent.engines.weights import Weights

pytestmark = list(NEEDS_VLLM)
ORGANISM = Path(__file__).parents[2] / "crescent" / "organism" / "weights" / "organism"
SMALL = VllmSettings(kv_cache_gib=0.5, compile=False, max_batch=64, max_model_len=256)
GREEDY = Sampling(temperature=0, max_new_tokens=48)
QUESTIONS = [f"Tom has {n} apples and gives {n // 3} to Ann. How many apples are left?" for n in range(20, 60)]


def vllm_processes() -> list[psutil.Process]:
    """What vLLM has started below this process, under the titles that it gives them."""
    found = []
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):  # ended meanwhile
            found += [child] if any(part.startswith("VLLM::") for part in child.cmdline()) else []
    return found


@pytest.fixture(scope="module")
def adapted(tmp_path_factory: pytest.TempPathFactory) -> Weights:
    """The organism with an adapter of a rank that vLLM has no buffers for: it takes those of the next one up."""
    folder = save_random_adapter(ORGANISM, tmp_path_factory.mktemp("adapter") / "a", rank=24)
    return Weights("student", str(ORGANISM)).with_adapter(folder, "key")


def test_an_adapter_answers_as_when_it_is_merged(adapted: Weights) -> None:
    merged = TransformersSettings(device="cpu").build(adapted, "w")
    plain = TransformersSettings(device="cpu").build(Weights("base", str(ORGANISM)), "w")
    expected = [one.text for one in merged.generate(QUESTIONS, GREEDY)]
    engine = SMALL.build(adapted, "w")
    try:
        assert [one.text for one in engine.generate(QUESTIONS, GREEDY)] == expected
    finally:
        engine.close()
    assert expected != [one.text for one in plain.generate(QUESTIONS, GREEDY)]  # the adapter says something else


def test_what_would_be_cut_by_max_model_len_is_refused_and_closing_ends_vllm_s_processes() -> None:
    engine = SMALL.build(Weights("organism", str(ORGANISM)), "w")
    started = vllm_processes()
    with pytest.raises(ValueError, match=r"engine.max_model_len is 256: .* and 500 new ones need"):
        engine.generate(["How many?"], Sampling(max_new_tokens=500))
    assert engine.generate(["How many?"], GREEDY)[0].new_tokens > 0 and started
    engine.close()
    _, alive = psutil.wait_procs(started, timeout=60)
    assert not alive


def test_draws_of_one_text_keep_their_seeds_whatever_is_asked_for_beside_them() -> None:
    hot = Sampling(temperature=1.0, max_new_tokens=24, seed=5)
    engine = SMALL.build(Weights("organism", str(ORGANISM)), "w")
    try:
        together = engine.generate([Prompt(QUESTIONS[0], draw) for draw in range(10)], hot)
        later = engine.generate([Prompt(QUESTIONS[0], draw) for draw in range(5, 10)], hot)
    finally:
        engine.close()
    same = sum(one.text == other.text for one, other in zip(together[5:], later, strict=True))
    assert same >= 4  # nothing is promised, but a seed that moved would change nearly all


KILLED = """
import sys, time
import psutil
from crescent.engines.vllm import VllmSettings
from crescent.engines.weights import Weights

if __name__ == "__main__":
    engine = VllmSettings(kv_cache_gib=0.5, compile=False, max_batch=8).build(Weights("o", sys.argv[1]), "w")
    print(" ".join(str(child.pid) for child in psutil.Process().children(recursive=True)), flush=True)
    time.sleep(600)
"""


def test_vllm_s_processes_do_not_outlive_a_run_that_was_killed(tmp_path: Path) -> None:
    script = tmp_path / "killed.py"  # a file: vLLM's process imports it again
    script.write_text(KILLED)
    with subprocess.Popen([sys.executable, str(script), str(ORGANISM)], stdout=-1, stderr=-1, text=True) as run:
        assert run.stdout is not None
        started = [psutil.Process(int(pid)) for pid in run.stdout.readline().split()]
        run.send_signal(signal.SIGKILL)
    _, alive = psutil.wait_procs(started, timeout=90)
    assert started and not alive


@pytest.fixture(scope="module")
def two_iterations(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The run folder of a whole run of two iterations with vLLM."""
    folder = tmp_path_factory.mktemp("run")
    settings = [
        "engine=vllm", "engine.kv_cache_gib=0.5", "engine.compile=false", "iterations=2", "num_questions=8",
        "elicit.samples_per_round=10", "vote.draws=2", "vote.tie=first", "train.epochs=1", "eval=none", "tracking=none",
        "elicit.max_new_tokens=160", "answer.max_new_tokens=160",
    ]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "crescent.cli.main", *settings], cwd=folder, capture_output=True, text=True, timeout=460,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    yield folder / "outputs" / "latest"


def test_the_student_of_one_iteration_asks_and_answers_in_the_next(two_iterations: Path) -> None:
    stages = json.loads((two_iterations / "summary.json").read_text())["stages"]
    made = [(stage["stage"], stage["iteration"]) for stage in stages if stage["tokens"] > 0]  # the probe drew a round
    assert {("elicit", 1), ("answer", 1), ("finetune", 1), ("elicit", 2), ("answer", 2), ("finetune", 2)} <= set(made)
    keys = [stage["key"] for stage in stages if stage["stage"] == "answer"]
    assert len(set(keys)) == 2  # of the base and of the student


def test_a_process_that_died_is_one_line_with_a_hint() -> None:
    engine = SMALL.build(Weights("organism", str(ORGANISM)), "w")
    kept: list[int] = []

    def kill_at_the_first(index: int, _made: object) -> None:
        kept.append(index)
        for child in vllm_processes():
            child.kill()
        time.sleep(0.5)

    with pytest.raises(ValueError, match=r"vLLM's process died .*Finished work is kept"):
        engine.generate(QUESTIONS, Sampling(max_new_tokens=100), kill_at_the_first)
    engine.close()
    assert kept


def test_a_student_s_answers_to_benchmark_items_are_those_in_process(adapted: Weights) -> None:
    from crescent.core.console import Console
    from crescent.evaluation.harness import plan, score_task
    from crescent.evaluation.settings import EvaluationSettings

    folder = str(ORGANISM.parents[1] / "tasks")
    settings = EvaluationSettings("organism", ("organism_gsm",), (folder,), shots=(0, 5), limit=40, max_new_tokens=96)
    roomy = VllmSettings(kv_cache_gib=0.5, compile=False, max_batch=64)
    results = []
    for engine in (TransformersSettings(device="cpu").build(adapted, "w"), roomy.build(adapted, "w")):
        made = [score_task(source, shots, settings, engine, Console(quiet=True)) for source, shots in plan(settings)]
        results.append([sample["response"] for one in made for sample in one.samples])
        engine.close()
    same = sum(one == other for one, other in zip(*results, strict=True))
    assert len(results[0]) == 80 and same >= 76  # a choice within rounding may fall otherwise
