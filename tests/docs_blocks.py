"""Code blocks of a documentation page, found by the file name in front of them or by their content, and written out."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def page(name: str) -> str:
    """The text of a page, by its path in the repository."""
    return (ROOT / name).read_text(encoding="utf-8")


def named_block(text: str, name: str) -> str:
    """The code block after the line that begins with the file's name in backticks."""
    found = re.search(rf"^`{re.escape(name)}`.*?^```\w+\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert found is not None, name
    return found[1]


def write_blocks(text: str, folder: Path, *names: str) -> None:
    """Writes the named blocks as files below `folder`."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(named_block(text, name), encoding="utf-8")


def commands(text: str) -> list[list[str]]:
    """The command lines of all `sh` blocks, comments and continued lines resolved, each split into words."""
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def run(command: list[str], folder: Path, timeout_s: int = 1000) -> subprocess.CompletedProcess[str]:
    """Runs a command line of ours (`crescent ...`, `crescent-compare ...`) in `folder`. Fails if it fails."""
    name, *words = command
    module = "crescent.cli.main" if name == "crescent" else f"crescent.cli.{name.removeprefix('crescent-')}"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(folder)])}
    python = [sys.executable, "-m", module, *words]
    done = subprocess.run(python, cwd=folder, capture_output=True, text=True, timeout=timeout_s, env=environment)
    assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout}\n{done.stderr}"
    return done
