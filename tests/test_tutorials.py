"""The tutorials: their commands are run as they are printed, in order, and lead to what the text says."""

import json
from pathlib import Path
from typing import Any

import pytest
from docs_blocks import commands, page, run


def followed(tutorial: str, folder: Path) -> list[str]:
    """Runs all commands of a tutorial in a folder. Returns what each printed."""
    lines = commands(page(f"docs/tutorials/{tutorial}.md"))
    assert lines
    return [run(line, folder).stdout for line in lines]


def summaries(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.rglob("summary.json"))]


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_first_ablation_compares_one_draw_with_five(tmp_path: Path) -> None:
    *_, printed = followed("first_ablation", tmp_path)
    runs = summaries(tmp_path / "multirun")
    assert [one["status"] for one in runs] == ["finished"] * 6
    assert {(one["config"]["vote"]["draws"], one["seed"]) for one in runs} == {
        (d, s) for d in (1, 5) for s in (0, 1, 2)
    }
    assert "vote.draws: 5 over 1" in printed
    reported = (tmp_path / "ablation.html").read_text(encoding="utf-8")
    assert "What changed" in reported and "Accuracy by vote.draws" in reported


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_distilling_raises_the_smaller_model(tmp_path: Path) -> None:
    followed("distil", tmp_path)
    [summary] = summaries(tmp_path / "outputs")
    scores = {(one["model"], one["task"]): one["value"] for one in summary["scores"] if one["primary"]}
    assert scores["base", "organism_gsm"] == 0.355 and scores["teacher", "organism_gsm"] == 0.56
    assert scores["student", "organism_gsm"] > scores["base", "organism_gsm"] + 0.05
    assert summary["artifacts"].keys() >= {"pairs", "adapter"}
