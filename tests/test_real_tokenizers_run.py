"""Whole runs of the command with the tokenizers and chat templates of real models, and tiny weights."""

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import crescent
from real_tokenizers import ENDS, needs_files, save_taught

from crescent.config.composing import composed
from crescent.domain import fill

QUESTION = "Tom has 12 apples and gives 5 to Ann. How many apples are left?"
ANSWER = "12 - 5 = 7. #### 7"
RUN = (
    "model=hf", "model.dtype=float32", "dedup=none", "contamination=off", "oracle=none", "tracking=none",
    "num_questions=4", "elicit.samples_per_round=4", "elicit.temperature=0.1", "elicit.max_new_tokens=60",
    "vote.draws=3",
    "answer.temperature=0.1", "answer.max_new_tokens=60", "train.epochs=1", "eval.limit=2", "eval.max_new_tokens=24",
    "eval.tasks=[organism_gsm]", "eval.shots=[1]",
)  # fmt: skip


@needs_files
@pytest.mark.parametrize("name", [
    pytest.param(name, marks=[] if name == "qwen3" else pytest.mark.slow) for name in ENDS
])  # fmt: skip
def test_a_model_with_a_real_tokenizer_goes_through_the_whole_loop(name: str, tmp_path: Path) -> None:
    domain = composed([])["domain"]
    taught = [(domain["bait"], QUESTION), (fill(domain["solve"], question=QUESTION), ANSWER)]
    folder = save_taught(name, tmp_path / "model", taught, steps=50 if name == "qwen3" else 150)
    done = crescent(tmp_path, *RUN, f"model.path={folder}", "train.learning_rate=0.001")
    assert done.returncode == 0, done.stderr
    summary: dict[str, Any] = json.loads((tmp_path / "outputs" / "latest" / "summary.json").read_text())
    info = {stage["stage"]: stage["info"] for stage in summary["stages"]}
    assert info["vote"]["pairs"] == 4 and info["vote"]["mean_agreement"] == 1.0
    assert info["vote"]["draws_unfinished"] == info["diversify"]["unfinished"] == {}
    assert {(score["model"], score["shots"]) for score in summary["scores"]} == {
        ("base", 1),
        ("student", 1),
    }
