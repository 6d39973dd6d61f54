"""A third domain, made of nothing but what docs/domains.md says: its files are written out and its command is run."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

DOMAINS_PAGE = Path(__file__).parents[1] / "docs" / "domains.md"
FILES = ("mine/domain/capitals.yaml", "mine/tasks/capitals.yaml", "mine/tasks/capitals.jsonl")


@pytest.mark.slow
def test_a_domain_is_made_of_one_yaml_and_one_task(tmp_path: Path) -> None:
    text = DOMAINS_PAGE.read_text(encoding="utf-8")
    for name in FILES:
        block = re.search(rf"^`{re.escape(name)}`.*?^```\w+\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
        assert block is not None, name
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(block[1], encoding="utf-8")
    command = re.search(r"^```sh\ncrescent (.*)\n```", text, re.MULTILINE)
    assert command is not None
    run = [sys.executable, "-m", "crescent.cli.main", *shlex.split(command[1])]
    done = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    summary = json.loads((tmp_path / "outputs" / "latest" / "summary.json").read_text(encoding="utf-8"))
    stages = {stage["stage"]: stage for stage in summary["stages"]}
    assert stages["diversify"]["records"] == 60 and stages["vote"]["records"] >= 30
    scores = {score["model"]: score["value"] for score in summary["scores"] if score["primary"]}
    assert scores["base"] > 0.3 and scores["student"] > 0.3
