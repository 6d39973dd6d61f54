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
