"""Time and size of a comparison of 36 runs (4 x 3 x 3 seeds), 1,000 samples a task: python tests/bench/compare_speed.py

Writes a made-up sweep in the real files to a temporary folder (or to the one that is given, to look at the page
afterwards), then runs the command as a user would.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "reporting"))
from synthetic_sweep import Sweep  # pyright: ignore[reportMissingImports]  # found by the line above


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(sys.argv[1] if len(sys.argv) > 1 else temporary)
        start = time.monotonic()
        runs = folder / "multirun"
        if not runs.exists():
            Sweep(folder).build()
        samples = list((folder / "store").rglob("samples.jsonl"))
        size = sum(file.stat().st_size for file in samples) / 1e6
        made = time.monotonic() - start
        print(f"{len(list(runs.iterdir()))} runs, {len(samples)} samples files, {size:.0f} MB, made in {made:.0f} s")
        page = folder / "report.html"
        for what, extra in (("table", []), ("table and page", ["--html", str(page)])):
            start = time.monotonic()
            command = [sys.executable, "-m", "crescent.cli.compare", str(runs), *extra]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            print(f"{time.monotonic() - start:5.1f} s  {what}, {len(done.stdout.splitlines())} lines")
        print(f"{page.stat().st_size / 1e6:5.2f} MB page")


if __name__ == "__main__":
    main()
