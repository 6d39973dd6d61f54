"""The command `crescent`, run in a folder, whatever comes of it."""

import os
import subprocess
import sys
from pathlib import Path


def crescent(folder: Path, *overrides: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "crescent.cli.main", *overrides]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, env={**os.environ, **environment}, timeout=300
    )


def refused(done: subprocess.CompletedProcess[str]) -> str:
    """The message of a run that was refused, after the checks every refusal must pass."""
    assert done.returncode not in (0, None) and "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert len(lines) <= 4, done.stderr
    return lines[-1]
