"""The layout: what the import contracts name is what there is."""

import tomllib
from pathlib import Path

import crescent

PACKAGE = Path(crescent.__file__).parent


def test_every_stage_is_among_those_that_never_import_each_other() -> None:
    config = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text(encoding="utf-8"))
    (contract,) = [one for one in config["tool"]["importlinter"]["contracts"] if one["type"] == "independence"]
    listed = {name for name in contract["modules"] if "*" not in name}
    files = {file.relative_to(PACKAGE.parent).with_suffix("") for file in PACKAGE.rglob("*_stage.py")}
    assert "crescent.*.stage" in contract["modules"]
    assert listed == {".".join(file.parts) for file in files}


def test_few_modules_are_at_the_top() -> None:
    assert {file.stem for file in PACKAGE.glob("*.py")} <= {
        "__init__",
        "domain",
        "experiment",
        "iteration",
        "pipeline",
        "cleaning",
    }
