"""A whole run that scores its base model under two prompting baselines, beside base and student without."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SMALL = [
    "num_questions=12", "elicit.samples_per_round=10", "vote.draws=2", "vote.tie=first", "train.epochs=1",
    "elicit.max_new_tokens=160", "answer.max_new_tokens=160", "eval.limit=6", "eval.shots=[0,1]",
    "eval.tasks=[organism_gsm,organism_plus,organism_general]",
]  # fmt: skip
BASELINES = ["prompting=[zero_shot_cot,self_consistency]", "prompting.baselines.self_consistency.draws=3"]


@pytest.mark.slow
def test_a_run_scores_the_base_model_with_and_without_prompting(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "crescent.cli.main", *SMALL, *BASELINES]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    scores = json.loads((tmp_path / "outputs" / "latest" / "summary.json").read_text())["scores"]
    primary = [(s["model"], s["prompting"], s["task"], s["shots"]) for s in scores if s["primary"]]
    assert len(primary) == len(set(primary))
    whole = {(*place[:2], place[3]) for place in primary if place[2] == "organism_gsm"}
    plain = {(model, "none", shots) for model in ("base", "student") for shots in (0, 1)}
    assert whole == plain | {("base", "zero_shot_cot", 0), ("base", "self_consistency", 0)}
    read = [s for s in scores if (s["metric"], s["task"], s["shots"]) == ("prompt_tokens", "organism_gsm", 0)]
    spent = {s["prompting"]: s["value"] for s in read if s["model"] == "base"}
    assert spent["none"] < spent["zero_shot_cot"] < spent["self_consistency"]
    assert "base + self_consistency" in done.stdout and "tokens per question" in done.stdout
