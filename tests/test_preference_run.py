"""A whole run of the command that trains on preferences with an anchor, and runs that share its draws."""

import json
from pathlib import Path

import pytest
from test_end_to_end import crescent, summary

from crescent.core.records import QAPair, TrainStep, decode_lines

PREFERENCES = ["objective=dpo", "vote.draws=4", "eval=none", "tracking=none", "train.batch_size=4"]


@pytest.mark.slow
def test_a_run_prefers_winning_draws_and_another_objective_shares_its_draws(tmp_path: Path) -> None:
    told = crescent(tmp_path, *PREFERENCES, "retain=anchor").stderr
    assert "with a response that lost the vote" in told
    first = {stage["stage"]: stage for stage in summary(tmp_path / "outputs" / "latest")["stages"]}
    pairs = _records(tmp_path, "contrast", first["contrast"]["key"], QAPair)
    disputed = [pair for pair in pairs if pair.rejected]
    assert disputed and all(pair.rejected != pair.response and 0 < pair.margin < 1 for pair in disputed)
    steps = _records(tmp_path, "finetune", first["finetune"]["key"], TrainStep)
    assert all({"rewards/margins", "rewards/accuracies", "kl"} <= (step.metrics or {}).keys() for step in steps)
    crescent(tmp_path, *PREFERENCES[1:], "retain=shots", "train.stop=plateau", "train.held_out=0.3")
    second = {stage["stage"]: stage for stage in summary(tmp_path / "outputs" / "latest")["stages"]}
    assert second["vote"]["key"] == first["vote"]["key"] and second["answer"]["new_tokens"] == 0
    assert "contrast" not in second
    meta = tmp_path / "outputs" / "store" / "artifacts" / "finetune" / second["finetune"]["key"] / "meta.json"
    info = json.loads(meta.read_text())["info"]
    assert info["with_shots"] > 0 and info["held_out_loss"] > 0


def _records(folder: Path, stage: str, key: str, kind: type) -> list:
    file = folder / "outputs" / "store" / "artifacts" / stage / key / "records.jsonl"
    with open(file, encoding="utf-8") as lines:
        return list(decode_lines(kind, lines))
