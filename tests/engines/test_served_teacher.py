"""A whole distillation by a teacher that thinks, that only a server has, and that is not scored."""

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import crescent
from serving import Behaviour, Serving

from crescent.config.resolvers import assets
from crescent.engines.transformers import TransformersSettings
from crescent.engines.weights import Weights

THOUGHT = "How many? #### 99"
RUN = (
    "engine=server", "engine.model=tiny", "engine.patience_seconds=20", "model.name=huge", "model.path=acme/huge",
    "distill=organism_small", "dedup=none", "contamination=off", "oracle=none", "tracking=none", "num_questions=8",
    "elicit.samples_per_round=12", "vote.draws=2", "train.epochs=1", "eval.tasks=[organism_gsm]", "eval.limit=4",
    "eval.shots=[0]",
)  # fmt: skip


@pytest.mark.slow
def test_a_teacher_elsewhere_teaches_its_answers_and_is_not_looked_for_here(tmp_path: Path) -> None:
    weights = Weights("tiny", str(assets() / "crescent" / "organism" / "weights" / "organism"))
    local = TransformersSettings(device="cpu").build(weights, "w")
    serving = Serving(local, Behaviour(reasoning=THOUGHT))
    url = serving.start()
    try:
        done = crescent(tmp_path, *RUN, f"engine.urls=[{url}]", "eval.models=[base,student]")
    finally:
        serving.stop()
    assert done.returncode == 0, done.stderr
    summary: dict[str, Any] = json.loads((tmp_path / "outputs" / "latest" / "summary.json").read_text())
    assert {score["model"] for score in summary["scores"]} == {"base", "student"}
    texts = {
        name: list(map(json.loads, (Path(summary["artifacts"][name]) / "records.jsonl").read_text().splitlines()))
        for name in ("questions", "pairs")
    }
    assert len(texts["questions"]) == 8 and not any("99" in one["text"] for one in texts["questions"])
    begins = f"<think>\n{THOUGHT}\n</think>"
    assert texts["pairs"] and all(pair["response"].startswith(begins) for pair in texts["pairs"])
    assert not any(pair["answer"] == "99" for pair in texts["pairs"])
    assert "trained on without thoughts" in done.stderr


@pytest.mark.slow
def test_a_teacher_elsewhere_that_is_to_be_scored_is_told_before_it_is_asked(tmp_path: Path) -> None:
    done = crescent(tmp_path, *RUN, "engine.urls=[http://127.0.0.1:9/v1]")
    message = done.stderr.splitlines()[-1]
    assert done.returncode == 1 and "'acme/huge' is not on this machine" in message and "[base,student]" in message
