"""The last line of each command: what to do with what it made.

In: what a command has done. Out: one line that begins with "next:". Errors have their own: they end in a suggested fix.
"""

import os
import shlex
from collections.abc import Sequence
from pathlib import Path


def after_run(folder: Path, page: Path | None) -> str:
    """Look at the report, then take the results to other tools."""
    run = _short(folder)
    look = f"open {_short(page)} in a browser; " if page else ""
    return f"next: {look}crescent-export data {run} DIR or crescent-export model {run} DIR for other tools"


def after_check(arguments: Sequence[str]) -> str:
    """The same command without check=true."""
    kept = [one for one in arguments if not one.startswith("check=")]
    return f"next: {shlex.join(['crescent', *kept])}"


def after_comparison(paths: Sequence[Path], page: Path | None) -> str:
    """Look at the page, or draw it."""
    if page:
        return f"next: open {_short(page)} in a browser"
    runs = " ".join(_short(path) for path in paths if path.is_dir())
    return f"next: crescent-compare {runs} --html report.html draws the whole report, --effects what each setting does"


def after_data(overrides: Sequence[str], folder: Path | None) -> str:
    """Score with the data that are there; `folder` if a run does not find it by itself."""
    here = f"CRESCENT_BENCHMARKS={shlex.quote(str(folder.absolute()))} " if folder else ""
    return f"next: {here}{shlex.join(['crescent', *overrides])}"


def after_models() -> str:
    """Run one of the models that were fetched."""
    return "next: make demo-real, or crescent model=smollm2_135m_gguf eval=none num_questions=20"


def _short(path: Path) -> str:
    """A path for a shell, relative to the current folder if it is below it."""
    near = os.path.relpath(path)
    return shlex.quote(str(path) if near.startswith("..") else near)
