"""What a sweep of twelve jobs costs beside twelve separate runs, and that one killed twice ends the same.

    python tests/bench/sweep_sharing.py [--folder DIR] [-- SETTING ...]

Separate runs have a store each, and so do the sweep and the killed sweep. The killed one is ended by SIGKILL after a
third and after two thirds of the time of the other, and begun again. At the end its scores must be those of the other,
its store the same bytes, and what was there at a kill must not have been written again: artifacts have the times they
had, ledgers begin with the bytes they had. The last settings are those of every job, by default a small run.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from itertools import product
from pathlib import Path

AXES = {"dedup": ("none", "drop", "rejection"), "vote.draws": ("1", "3", "5", "9")}
SMALL = (
    "num_questions=300", "eval=organism_contrast", "eval.limit=400", "source.num_pairs=250", "tracking=none",
)  # fmt: skip


def command(store: Path, name: str, *settings: str) -> list[str]:
    return [sys.executable, "-m", "crescent.cli.main", *settings, f"name={name}", f"store={store}"]


def finish(folder: Path, arguments: Sequence[str]) -> float:
    """Seconds of a run or a sweep that must succeed."""
    start = time.perf_counter()
    done = subprocess.run(arguments, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return time.perf_counter() - start


def cut_off(folder: Path, arguments: Sequence[str], seconds: float) -> None:
    """Begins, and kills after so many seconds."""
    process = subprocess.Popen(
        arguments, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def committed(store: Path) -> dict[str, tuple[int, int]]:
    """Of each artifact when it was written, of each ledger its bytes: what a kill must leave alone."""
    metas = store.glob("artifacts/*/*/meta.json")
    return {str(path.relative_to(store)): (path.stat().st_mtime_ns, path.stat().st_ino) for path in metas}


def ledgers(store: Path) -> dict[str, bytes]:
    return {str(path.relative_to(store)): path.read_bytes() for path in store.glob("ledgers/*/rows.jsonl")}


def bytes_of(store: Path) -> dict[str, bytes]:
    """Records of every artifact and ledger."""
    files = [*store.glob("artifacts/*/*/*"), *store.glob("ledgers/*/rows.jsonl")]
    return {str(path.relative_to(store)): path.read_bytes() for path in files if path.is_file()}


def scores(folder: Path, name: str) -> dict[tuple[str, ...], list[dict]]:
    """By the settings that vary; of the last sweep of that name."""
    last = max((folder / "multirun" / name).iterdir())
    told = [json.loads(path.read_text()) for path in last.glob("*/summary.json")]
    return {tuple(sorted(one for one in run["overrides"] if one.split("=")[0] in AXES)): run["scores"] for run in told}


def seconds_by_stage(runs: Sequence[Path]) -> Counter[str]:
    spent: Counter[str] = Counter()
    for path in runs:
        for stage in json.loads(path.read_text())["stages"]:
            spent[stage["stage"]] += stage["seconds"]
    return spent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=None)
    parser.add_argument("settings", nargs="*", default=SMALL)
    options = parser.parse_args()
    folder = (options.folder or Path(tempfile.mkdtemp(prefix="sweep-"))).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    points = [[f"{key}={value}" for key, value in zip(AXES, values, strict=True)] for values in product(*AXES.values())]
    sweep = ["-m", *(f"{key}={','.join(values)}" for key, values in AXES.items()), *options.settings]

    together = finish(folder, command(folder / "sweep-store", "sweep", *sweep))
    print(f"sweep of {len(points)} jobs: {together:.0f} s", flush=True)

    killed, again = folder / "killed-store", command(folder / "killed-store", "killed", *sweep)
    kept, begun = {}, {}
    for _ in range(2):
        cut_off(folder, again, together / 3)
        here = committed(killed)
        assert all(here[name] == known for name, known in kept.items()), "an artifact was written again"
        kept, begun = here, ledgers(killed)
        print(f"killed: {len(kept)} artifacts, {sum(map(len, begun.values())):,} bytes of draws", flush=True)
    rest = finish(folder, again)
    here, drawn = committed(killed), ledgers(killed)
    assert all(here[name] == known for name, known in kept.items()), "an artifact was written again"
    assert all(drawn[name].startswith(known) for name, known in begun.items()), "draws were written again"
    assert scores(folder, "killed") == scores(folder, "sweep"), "other scores"
    assert bytes_of(killed) == bytes_of(folder / "sweep-store"), "other bytes"
    print(
        f"begun again after the second kill: {rest:.0f} s; same scores, same bytes, nothing written twice", flush=True
    )

    apart = [finish(folder, command(folder / f"store-{n}", f"apart-{n}", *options.settings, *point))
             for n, point in enumerate(points)]  # fmt: skip
    print(f"{len(points)} separate runs: {sum(apart):.0f} s; the sweep takes {together / sum(apart):.2f} of it")
    last = max((folder / "multirun" / "sweep").iterdir())
    ours = seconds_by_stage([*last.glob("*/summary.json")])
    theirs = seconds_by_stage([*folder.glob("outputs/apart-*/*/summary.json")])
    for stage in theirs:
        print(f"  {stage:<13} {ours[stage]:7.0f} s of {theirs[stage]:7.0f} s")
    rest_ours, rest_theirs = together - ours.total(), sum(apart) - theirs.total()
    print(f"  {'start, report':<13} {rest_ours:7.0f} s of {rest_theirs:7.0f} s")


if __name__ == "__main__":
    main()
