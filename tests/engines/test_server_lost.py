"""A whole run whose server is lost: it ends in one line, and goes on with what it had when the server is back."""

import json
import subprocess
import time
from pathlib import Path

import pytest
from serving import Behaviour, Serving
from test_end_to_end import command

from crescent.config.resolvers import PACKAGE
from crescent.engines.transformers.engine import TransformersEngine
from crescent.engines.weights import Weights, load

ORGANISM = Weights("organism", str(PACKAGE / "organism" / "weights" / "organism"))


def rows(folder: Path, kind: str) -> dict[str, str]:
    """Texts of completions by the file and place they are at, or by key in a journal."""
    lines = [line for file in (folder / "outputs" / "store" / kind).rglob("*.jsonl")
             for line in file.read_text().splitlines()]  # fmt: skip
    return {row.get("key", str(place)): row["text"] for place, row in enumerate(map(json.loads, lines))}


@pytest.mark.slow
def test_a_run_whose_server_is_lost_goes_on_with_what_it_had(tmp_path: Path) -> None:
    behaviour = Behaviour()
    serving = Serving(TransformersEngine(*load(ORGANISM, "cpu"), "served"), behaviour)
    settings = [
        "elicit.samples_per_round=60", "engine=server", f"engine.urls=[{serving.start()}]", "engine.model=tiny",
        "engine.in_flight=2", "engine.samples_per_request=1", "engine.patience_seconds=2", "eval=none", "tracking=none",
    ]  # fmt: skip
    run = command(*settings)
    first = subprocess.Popen(run, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    while len(rows(tmp_path, "work")) < 3 and first.poll() is None:
        time.sleep(0.01)
    behaviour.failures = 10**9  # on connections that are open still
    serving.stop()
    _, errors = first.communicate(timeout=120)
    assert first.returncode == 1 and "Traceback" not in errors
    assert "has not answered for 2 s" in errors.splitlines()[-1] and "the same command then resumes" in errors
    had = rows(tmp_path, "work")
    assert 3 <= len(had) < 60
    behaviour.failures = 0
    serving.start()
    subprocess.run(run, cwd=tmp_path, check=True, capture_output=True, timeout=300)
    serving.stop()
    assert set(had.values()) <= set(rows(tmp_path, "artifacts/elicit").values())
