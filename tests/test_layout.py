"""The layout: what the import contracts name is what there is."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

import crescent

PACKAGE = Path(crescent.__file__).parent


def contracts() -> list[dict[str, Any]]:
    config = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text(encoding="utf-8"))
    return config["tool"]["importlinter"]["contracts"]


def test_every_stage_is_among_those_that_never_import_each_other() -> None:
    (contract,) = [one for one in contracts() if one["type"] == "independence"]
    listed = {name for name in contract["modules"] if "*" not in name}
    files = {file.relative_to(PACKAGE.parent).with_suffix("") for file in PACKAGE.rglob("*_stage.py")}
    assert "crescent.*.stage" in contract["modules"]
    assert listed == {".".join(file.parts) for file in files}


@pytest.mark.parametrize(("library", "users"), [("hydra", {"cli", "config", "sweeps"}), ("ray", {"runtime"})])
def test_a_library_is_forbidden_to_all_but_its_users(library: str, users: set[str]) -> None:
    (contract,) = [one for one in contracts() if one.get("forbidden_modules", [""])[0] == library]
    parts = {file.stem for file in PACKAGE.iterdir() if file.suffix == ".py" or (file / "__init__.py").exists()}
    assert set(contract["source_modules"]) == {f"crescent.{part}" for part in parts - users - {"__init__"}}


def test_few_modules_are_at_the_top() -> None:
    assert {file.stem for file in PACKAGE.glob("*.py")} <= {"__init__", "domain", "experiment", "iteration", "pipeline"}


def test_the_citation_has_the_version_of_the_package() -> None:
    root = PACKAGE.parent
    citation = yaml.safe_load((root / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert (citation["version"], citation["license"]) == (project["version"], project["license"])


def test_ci_and_commit_hooks_run_what_a_contributor_runs() -> None:
    root = PACKAGE.parent
    [job] = yaml.safe_load((root / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))["jobs"].values()
    steps = {step.get("run") for step in job["steps"]}
    assert ".ci/run" in steps and "make check" in (root / ".ci" / "run").read_text(encoding="utf-8")
    hooks = yaml.safe_load((root / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    checks = (root / "Makefile").read_text(encoding="utf-8")
    entries = [hook["entry"].split()[0].removeprefix(".venv/bin/") for repo in hooks for hook in repo["hooks"]]
    assert entries and all(f"$(BIN)/{entry}" in checks for entry in entries)
