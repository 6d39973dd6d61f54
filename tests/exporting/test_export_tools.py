"""Exports loaded by the tools themselves, each in an environment of its own: `make test-exports`."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from voted_run import voted_run

from crescent.cli.export import main
from crescent.config.resolvers import assets

TOOLS = os.environ.get("CRESCENT_EXPORT_TOOLS")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(TOOLS is None, reason="the tools are not installed: make test-exports installs them"),
]
SCRIPTS = Path(__file__).parent / "tools"
ORGANISM = assets() / "crescent" / "organism" / "weights" / "organism"
QUESTION, RESPONSE = "What is 3 + 4?", "3 + 4 = 7\n#### 7"


def loaded(tool: str, folder: Path, *arguments: str) -> dict[str, Any]:
    """What a tool makes of an export: its version, the number of rows, the decoded first one."""
    python = Path(str(TOOLS)) / tool / "bin" / "python"
    command = [str(python), str(SCRIPTS / f"load_{tool}.py"), str(folder), str(ORGANISM), *arguments]
    done = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, "HF_DATASETS_CACHE": str(folder.parent / "cache")},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    print(f"{tool} {found['version']}: {found['rows']} rows; the first trains on {found['target']!r}")
    return found


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return voted_run(tmp_path_factory.mktemp("voted"))


def exported(run: Path, folder: Path, form: str) -> Path:
    main(["data", str(run), str(folder), "--format", form])
    return folder


def test_trl_trains_on_the_responses_alone(run: Path, tmp_path: Path) -> None:
    found = loaded("trl", exported(run, tmp_path / "out", "trl"), "trl")
    assert found["rows"] == 3 and found["target"] == f"{RESPONSE}<|end|>"
    assert found["whole"] == f"<|begin|><|user|>{QUESTION}<|end|><|assistant|>{RESPONSE}<|end|>"


def test_trl_prefers_what_won_to_what_lost(run: Path, tmp_path: Path) -> None:
    found = loaded("trl", exported(run, tmp_path / "out", "preference"), "preference")
    assert found["rows"] == 2 and found["target"] == f"{RESPONSE}<|end|>"
    assert found["rejected"] == "I say\n#### 8<|end|>"


def test_llama_factory_trains_on_the_responses_alone(run: Path, tmp_path: Path) -> None:
    found = loaded("llamafactory", exported(run, tmp_path / "out", "llamafactory"), "chatml")
    assert found["rows"] == 3 and found["target"] == f"{RESPONSE}<|im_end|>\n"
    assert found["whole"] == f"<|im_start|>user\n{QUESTION}<|im_end|>\n<|im_start|>assistant\n{RESPONSE}<|im_end|>\n"


def test_axolotl_trains_on_the_responses_alone(run: Path, tmp_path: Path) -> None:
    folder = exported(run, tmp_path / "out", "axolotl")
    found = loaded("axolotl", folder, "axolotl.yaml", QUESTION)
    assert found["rows"] == 3 and found["target"] == f"{RESPONSE}<|end|>"
    assert found["whole"] == f"<|begin|><|user|>{QUESTION}<|end|><|assistant|>{RESPONSE}<|end|>"
