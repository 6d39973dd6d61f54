"""crescent-eval: which settings are taken from where, and one line for a run that cannot be scored."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from configured import composed

from crescent.cli import evaluate
from crescent.config.typed import ConfigError
from crescent.core.events import Scored
from crescent.core.records import Score
from crescent.core.store import Artifact
from crescent.observers.summary import LaterScores


def written(folder: Path, *overrides: str, **changes: Any) -> Path:
    """A run folder with the summary of a finished run that trained nothing that is still there."""
    stage = {"stage": "finetune", "iteration": 2, "key": "gone", "records": 1, "info": {}}
    config = composed(f"store={folder.parent / 'store'}", *overrides)
    content = {
        "experiment": "default", "status": "finished", "overrides": [], "seed": 0, "config": config, "scores": [],
        "evaluations": [], "stages": [stage], "artifacts": {}, "git": "abc", "versions": {},
    }  # fmt: skip
    folder.mkdir()
    (folder / "summary.json").write_text(json.dumps(content | changes))
    return folder


def refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    monkeypatch.setattr(sys, "argv", ["crescent-eval", *arguments])
    with pytest.raises(SystemExit) as stopped:
        evaluate.main()
    lines = capsys.readouterr().err.splitlines()
    assert stopped.value.code == 2 and lines[-1].startswith("crescent-eval: config: ")
    return lines[-1]


@pytest.mark.parametrize(
    ("changes", "overrides", "message"),
    [
        ({"status": "stopped"}, ["eval=organism"], "has not finished (its status is stopped): run the same `crescent`"),
        ({}, ["eval=organism"], "is in no store: give the store's folder with --store"),
        ({}, ["eval=none"], "eval=none has no tasks: name a suite, as in eval=general"),
        ({}, ["eval=organims"], "eval=organims is not a choice"),
        ({}, ["vote.draws=3"], "vote.draws is a setting of the run"),
        ({}, ["eval.tasks=[nothing]", "eval.models=[base]"], "nothing"),
        ({"scores": 1}, ["eval=organism"], "is not a valid summary of a run"),
    ],
)
def test_what_cannot_be_scored_ends_with_a_line_and_the_fix(
    changes: dict, overrides: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    assert message in refused(monkeypatch, capsys, str(written(tmp_path / "run", **changes)), *overrides)


def test_a_model_whose_weights_are_gone_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = written(tmp_path / "run", "model=hf", f"model.path={tmp_path / 'gone'}")
    said = refused(monkeypatch, capsys, str(run), "eval=organism", "eval.models=[base]")
    assert f"there is no folder {tmp_path / 'gone'}" in said


def test_a_folder_without_a_run_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "has no summary.json: give the folder of a finished run" in refused(
        monkeypatch, capsys, str(tmp_path), "eval=organism"
    )


def test_the_suite_says_what_is_asked_and_the_run_how() -> None:
    run = composed("eval.system_prompt=Think.", "eval.limit=7", "eval.models=[base]", "vote.draws=7")
    node = evaluate.settings(run, ["eval=general", "eval.shots=[0]"])
    assert node["eval"]["tasks"] == composed("eval=general")["eval"]["tasks"] and node["eval"]["limit"] is None
    assert (node["eval"]["system_prompt"], node["eval"]["models"], node["eval"]["shots"]) == ("Think.", ["base"], [0])
    assert {name: node[name] for name in node if name != "eval"} == {name: run[name] for name in run if name != "eval"}


def test_without_a_suite_the_run_s_own_is_changed() -> None:
    run = composed("eval.limit=7")
    node = evaluate.settings(run, ["eval.tasks=[organism_gsm]", "prompting=zero_shot_cot"])
    assert node["eval"] == {**run["eval"], "tasks": ["organism_gsm"]}
    assert node["prompting"] == composed("prompting=zero_shot_cot")["prompting"]


@pytest.mark.parametrize("override", ["seed=1", "eval.taks=[a]", "store=x"])
def test_other_settings_are_refused(override: str) -> None:
    with pytest.raises(ConfigError):
        evaluate.settings(composed(), [override])


def test_cfg_prints_the_settings_and_scores_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = written(tmp_path / "run")
    before = (run / "summary.json").read_bytes()
    monkeypatch.setattr(sys, "argv", ["crescent-eval", str(run), "eval.limit=3", "--cfg", "job"])
    evaluate.main()
    assert "  limit: 3\n" in capsys.readouterr().out and (run / "summary.json").read_bytes() == before


def test_scores_made_later_take_the_place_of_those_of_the_same_task_and_no_other(tmp_path: Path) -> None:
    run, artifact = written(tmp_path / "run"), Artifact("evaluate", "k", tmp_path, 1, {"task": "a", "shots": 0}, False)
    later = LaterScores(run, {"eval": {"limit": 1}})

    def scored(task: str, value: float, model: str = "base") -> None:
        score = Score(model, 0, "none", task, 0, "acc", "none", True, value, 0.0, 4)
        part = Score(model, 0, "none", f"{task}/part", 0, "acc", "none", True, value, 0.0, 4)
        made = Artifact("evaluate", "k", artifact.path, 1, {"task": task, "shots": 0}, False)
        later.scored(Scored(model, 0, "none", [made], [score, part], "w"))

    for task, value, model in (("a", 0.1, "base"), ("b", 0.2, "base"), ("a", 0.3, "teacher"), ("a", 0.4, "base")):
        scored(task, value, model)
    found = json.loads((run / "summary.json").read_text())
    assert [(one["task"], one["model"], one["value"]) for one in found["scores"]] == [
        ("b", "base", 0.2), ("b/part", "base", 0.2), ("a", "teacher", 0.3), ("a/part", "teacher", 0.3),
        ("a", "base", 0.4), ("a/part", "base", 0.4),
    ]  # fmt: skip
    assert found["later_evaluations"][0]["eval"] == {"limit": 1} and len(found["later_evaluations"]) == 1
    assert found["git"] == "abc"
