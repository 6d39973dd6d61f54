"""Offline W&B runs, read back by W&B's own reader."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def logged_records(job: Path) -> list[dict[str, Any]]:
    """All that was logged in the run folder `job`."""
    (log,) = job.glob("wandb/offline-run-*/*.wandb")
    return logged_records_of(log)


def logged_records_of(log: Path) -> list[dict[str, Any]]:
    """All that was logged in the file of one run."""
    tool = Path(sys.executable).with_name("wandb")
    done = subprocess.run([tool, "leet", "inspect", "--json", str(log)], capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def logged_config_and_summary(job: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The configuration, and the last value of everything in the summary."""
    records = logged_records(job)
    config = next(record["run"]["config"]["update"] for record in records if record["type"] == "run")
    summary: dict[str, Any] = {}
    for record in records:
        if record["type"] == "summary":
            summary |= record["summary"].get("update", {})
    return config, summary


def logged_history(job: Path) -> list[dict[str, Any]]:
    """All steps, as mappings of what was logged in them."""
    return [record["history"] for record in logged_records(job) if record["type"] == "history"]


def logged_tables(job: Path) -> Iterator[tuple[str, list[str], list[list[Any]]]]:
    """(name, columns, rows) of every table."""
    for file in job.glob("wandb/offline-run-*/files/media/table/**/*.table.json"):
        content = json.loads(file.read_text(encoding="utf-8"))
        yield (
            str(file).partition("/media/table/")[2].rpartition("_")[0].rpartition("_")[0],
            content["columns"],
            content["data"],
        )


def logged_artifacts(job: Path) -> dict[str, dict[str, Any]]:
    """The metadata of the last artifact of each type."""
    records = [record["artifact"] for record in logged_records(job) if record["type"] == "artifact"]
    return {one["type"]: json.loads(one["metadata"]) for one in records if one["type"] in ("dataset", "model")}
