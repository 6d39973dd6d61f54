"""The examples of docs/architecture.md and docs/api.md are code that runs; the stage is that of `new_stage.py`."""

import inspect
import re
import sys
from pathlib import Path

import new_stage
import pytest
import yaml
from docs_blocks import page

from crescent.config.typed import build_target
from crescent.core.records import Solution
from crescent.core.store import canonical
from crescent.voting import Rule

ARCHITECTURE_PAGE, API_PAGE = page("docs/architecture.md"), page("docs/api.md")


def block(mark: str, text: str = ARCHITECTURE_PAGE) -> str:
    """The code block that holds `mark`."""
    [found] = [one for one in re.findall(r"^```\w+\n(.*?)^```", text, re.DOTALL | re.MULTILINE) if mark in one]
    return found


def test_the_stage_is_the_one_that_is_tested() -> None:
    assert block("class Brief") == inspect.getsource(new_stage.Brief)


def test_the_vote_rule_is_built_from_its_yaml_and_votes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_rules.py").write_text(block("class Unanimous"), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "my_rules", raising=False)
    rule: Rule = build_target(yaml.safe_load(block("_target_: my_rules.Unanimous")), "vote")
    assert canonical(rule)["class"] == "my_rules.Unanimous"
    draws = [Solution("q", draw, "text", "stop", 1, 0.0) for draw in range(3)]
    assert [rule.wanted(draws[:made], ["4"] * made) for made in range(4)] == [3, 2, 1, 0]
    agreed, split, silent = (rule.decide(draws, answers) for answers in (["4"] * 3, ["4", "4", "5"], [None] * 3))
    assert (agreed.answer, agreed.votes, agreed.chosen) == ("4", 3, 0)
    assert split.chosen is None and silent.chosen is None


def test_answers_are_read_and_counted_as_on_the_page() -> None:
    exec(block("import vote", API_PAGE), {})


@pytest.mark.slow
def test_near_duplicates_are_found_as_on_the_page() -> None:
    exec(block("import EmbedderSettings", API_PAGE), {})


@pytest.mark.slow
def test_an_experiment_runs_from_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(block("import LocalBackend", API_PAGE), {})
    assert list((tmp_path / "outputs" / "store" / "artifacts" / "finetune").glob("*/meta.json"))
