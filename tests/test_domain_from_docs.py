"""A third domain, made of nothing but what docs/domains.md says: its files are written out and its command is run."""

import json
from pathlib import Path

import pytest
from docs_blocks import commands, page, run, write_blocks

DOMAINS = page("docs/domains.md")
FILES = ("mine/domain/capitals.yaml", "mine/tasks/capitals.yaml", "mine/tasks/capitals.jsonl")


@pytest.mark.slow
def test_a_domain_is_made_of_one_yaml_and_one_task(tmp_path: Path) -> None:
    write_blocks(DOMAINS, tmp_path, *FILES)
    [command] = commands(DOMAINS)
    run(command, tmp_path)
    summary = json.loads((tmp_path / "outputs" / "latest" / "summary.json").read_text(encoding="utf-8"))
    stages = {stage["stage"]: stage for stage in summary["stages"]}
    assert stages["diversify"]["records"] == 60 and stages["vote"]["records"] >= 30
    scores = {score["model"]: score["value"] for score in summary["scores"] if score["primary"]}
    assert scores["base"] > 0.3 and scores["student"] > 0.3
