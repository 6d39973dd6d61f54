"""Runs on disk with changed summaries, and their comparison."""

import json
from pathlib import Path
from typing import Any

from crescent.core.console import Console
from crescent.reporting.analyse.results import Comparison, Options, compare
from crescent.reporting.read.runs import read_all


def compared(*paths: Path, store: Path | None = None, **options: Any) -> Comparison:
    runs, notes = read_all(paths, store)
    return compare(runs, Options(**options), Console(quiet=True), notes)


def summary(run: Path) -> dict[str, Any]:
    return json.loads((run / "summary.json").read_text())


def copy(run: Path, to: Path, **changes: Any) -> Path:
    """A run with some fields of its summary replaced."""
    to.mkdir(parents=True)
    (to / "summary.json").write_text(json.dumps(summary(run) | changes))
    return to


def config_of(run: Path, **changes: Any) -> dict[str, Any]:
    """A run's configuration with some settings replaced: train__target=1 is train.target=1."""
    config = summary(run)["config"]
    for key, value in changes.items():
        *groups, name = key.split("__")
        node = config
        for group in groups:
            node = node.setdefault(group, {})
        node[name] = value
    return config


def only(run: Path, *tasks: str, model: str | None = None, at_most: int = 99) -> dict[str, Any]:
    """Scores and evaluations of some tasks, of one model, up to an iteration."""
    raw = summary(run)

    def kept(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        named = [row for row in rows if not tasks or row["task"].partition("/")[0] in tasks]
        return [row for row in named if model in (None, row["model"]) and row["iteration"] <= at_most]

    return {name: kept(raw[name]) for name in ("scores", "evaluations")}
