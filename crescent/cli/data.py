"""The command `crescent-data`: lists the data a suite needs and mirrors it for a machine without a network.

    crescent-data eval=math                       what is needed and what is there; exit status 1 if anything is missing
    crescent-data eval=general --data FOLDER      the same for a folder of local files (default: CRESCENT_BENCHMARKS)
    crescent-data eval=full --mirror FOLDER       fetches what FOLDER lacks, from the hub or its cache

In: the same `eval` choices and overrides as `crescent` takes. Out: lines on stdout; with --mirror, files.
`evaluation.data` reads from the task YAMLs what is needed.
"""

import argparse
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from crescent.cli.arguments import a_folder
from crescent.cli.next_steps import after_data
from crescent.config.composing import composed
from crescent.config.typed import ConfigError, build
from crescent.core.console import counted
from crescent.evaluation.data import Need, by_group, describe, mirror, needs, state
from crescent.evaluation.settings import EvaluationSettings


def main(arguments: Sequence[str] | None = None) -> int:
    """The console script. Exit status: 0 if every task can be scored completely without a network (or was mirrored), 1
    if not, 2 for a user's mistake.
    """
    parser = argparse.ArgumentParser(prog="crescent-data", description="List or mirror the data that a suite needs.")
    parser.add_argument(
        "overrides", nargs="*", metavar="eval=SUITE", help="as for crescent: eval=math, eval.tasks=[...]"
    )
    parser.add_argument("--data", type=a_folder, help="the folder of local files (default: CRESCENT_BENCHMARKS)")
    parser.add_argument("--mirror", type=a_folder, metavar="FOLDER", help="fetch what FOLDER lacks")
    options = parser.parse_args(arguments)
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    try:
        settings = build(EvaluationSettings, composed(options.overrides)["eval"], "eval")
        return _run(settings, options.data, options.mirror, options.overrides)
    except ConfigError as error:
        print(f"crescent-data: config: {error}", file=sys.stderr)
        return 2
    except (ValueError, OSError) as error:
        print(f"crescent-data: error: {error}", file=sys.stderr)
        return 1


def _run(settings: EvaluationSettings, data: Path | None, target: Path | None, overrides: Sequence[str]) -> int:
    if not settings.tasks:
        print(f"eval={settings.name} has no tasks: nothing is needed.")
        return 0
    if target is not None:
        wanted = needs(settings, target.absolute())
        count, failures = mirror(wanted, target.absolute(), print)
        for resource in sorted({need.nltk for need in wanted if need.nltk}):
            print(f"also needed, for nltk: python -m nltk.downloader -d {target / 'nltk'} {Path(resource).name}")
        use = (
            f"; to use them: export CRESCENT_BENCHMARKS={shlex.quote(str(target.absolute()))}"
            if target.is_dir()
            else ""
        )
        print(f"{counted(count, 'file')} written{use}")
        for line in failures:
            print(f"crescent-data: error: {line}", file=sys.stderr)
        return int(bool(failures))
    named = data or (Path(settings.data) if settings.data else None)
    folder = (named or Path("benchmarks")).expanduser().absolute()
    found = needs(settings, folder)
    tasks = counted(len(settings.tasks), "task")
    print(f"eval={settings.name}: {tasks}; local files: {named or 'none (set CRESCENT_BENCHMARKS)'}")
    print("\n".join(describe(found, folder, named is not None)))
    groups = by_group(found).values()
    if all(state(parts, named is not None) == "there" for parts in groups):
        print(after_data(overrides, data))
        return 0
    print("".join(_advice(found, named, folder, overrides)), end="")
    return 1


def _advice(found: list[Need], named: Path | None, folder: Path, overrides: Sequence[str]) -> Iterator[str]:
    """Suggested commands for missing data; only commands that work for it."""
    absent = [need for need in found if not need.there(named is not None)]
    mirrored = list(dict.fromkeys(need.group for need in absent if need.files and need.missing))
    if mirrored:
        asked = list(overrides)
        if not all(need.files for need in absent):  # --mirror would fail for the others
            asked = [one for one in asked if not one.startswith("eval.tasks=")] + [f"eval.tasks=[{','.join(mirrored)}]"]
        command = shlex.join(["crescent-data", *asked, "--mirror", "benchmarks"])
        yield f"\nTo mirror what is missing, where there is a network:\n  {command}\nthen copy the folder and\n"
        yield "  export CRESCENT_BENCHMARKS=/path/to/benchmarks\n"
    if named is None and any(need.files and not need.missing and not need.cached for need in absent):
        yield f"\nTo read the files that are there:\n  export CRESCENT_BENCHMARKS={shlex.quote(str(folder))}\n"
    if wanted := [data for need in absent if not need.files and not need.cached for data in need.hub]:
        more = f" (and {len(wanted) - 1} more)" if len(wanted) > 1 else ""
        loading = f"from datasets import load_dataset; load_dataset({wanted[0].path!r}, {wanted[0].config!r})"
        yield f"\nNo overlay reads {wanted[0]}{more} from files. Load it where there is a network:\n"
        yield f'  python -c "{loading}"\nthen copy the cache of datasets (HF_HOME)\n'
    for group, parts in by_group(found).items():
        if state(parts, named is not None) == "PARTIAL":
            yield f"\n{group} has fewer rows than were published: to fetch all, remove its files and mirror it again\n"


if __name__ == "__main__":
    sys.exit(main())
