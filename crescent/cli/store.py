"""The command `crescent-store`: what is in the store, how large it is, and deleting what no run needs.

    crescent-store ls [KEY ...]                       each artifact, ledger ...; with keys, what made them
    crescent-store du                                 sizes by stage, and how much of it no run refers to
    crescent-store prune --keep-runs outputs multirun       what would be deleted; with --yes it is

In: a store (--store, CRESCENT_STORE, or outputs/store), and folders of runs. Out: lines on stdout.
"""

import argparse
import json
import os
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import Any

from crescent.cli.arguments import a_path
from crescent.core.console import counted
from crescent.core.errors import UserError
from crescent.core.stages import in_order
from crescent.core.use import users
from crescent.housekeeping.contents import EMBEDDINGS, LEDGER, WORK, Item, contents
from crescent.housekeeping.pruning import Plan, plan, prune
from crescent.housekeeping.references import Needed, needed, runs_below

RUNS = (Path("outputs"), Path("multirun"))
SHOWN = 12  # characters of a key
SETTINGS = 70  # characters of the settings in a line of `ls`


def main(arguments: Sequence[str] | None = None) -> int:
    """The console script. Exit status 1 for a user's mistake, or if a run is using the store."""
    options = _parser().parse_args(arguments)
    try:
        options.call(options)
    except BrokenPipeError:  # crescent-store ls | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (ValueError, OSError) as error:
        print(f"crescent-store: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="crescent-store", description="List and prune what runs have stored.")
    default = Path(os.environ.get("CRESCENT_STORE") or "outputs/store")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--store", type=a_path, default=default, help=f"the store (default: {default})")
    runs = argparse.ArgumentParser(add_help=False)
    runs.add_argument("--runs", type=a_path, nargs="+", help="folders of runs (default: outputs and multirun)")
    commands = parser.add_subparsers(required=True, metavar="ls|du|prune")
    ls = commands.add_parser("ls", parents=[common, runs], help="list what is in the store")
    ls.add_argument("keys", nargs="*", metavar="KEY", help="show what made these (the first digits are enough)")
    ls.add_argument("--unused", action="store_true", help="only what no run refers to")
    ls.set_defaults(call=_ls)
    du = commands.add_parser("du", parents=[common, runs], help="sizes by stage")
    du.set_defaults(call=_du)
    cut = commands.add_parser("prune", parents=[common], help="delete what no kept run needs")
    cut.add_argument("--keep-runs", type=a_path, nargs="+", required=True, metavar="DIR", help="runs to keep")
    cut.add_argument("--yes", action="store_true", help="delete; without it, only show what would be deleted")
    cut.set_defaults(call=_prune)
    return parser


def _ls(options: argparse.Namespace) -> None:
    items, used = _look(options)
    if options.keys:
        for key in options.keys:
            _show(key, items, used)
        return
    rows = [(item, by) for item, by in zip(items, used.by, strict=True) if not (options.unused and by)]
    varied = _varied(items)
    for stage in _in_order({item.stage for item, _ in rows}):
        for item, by in sorted((row for row in rows if row[0].stage == stage), key=lambda row: -row[0].bytes):
            differ = sorted(varied[id(item)], key=_length)
            told = item.state or ", ".join(f"{_end(name)}={value}" for name, value in differ)
            print(
                f"{stage:<13} {item.key[:SHOWN]}  {_size(item.bytes):>9}  {item.records:>9,} records  "
                f"{_by(by):<11} {_cut(told, SETTINGS)}".rstrip()
            )
    some = rows[0][0].key[:SHOWN] if rows else "KEY"
    print(f"{counted(len(rows), 'item')}; what made one, and its runs: crescent-store ls {some}{_options(options)}")


def _show(key: str, items: Sequence[Item], used: Needed) -> None:
    found = [place for place, item in enumerate(items) if item.key.startswith(key.lower())]
    if not found:
        raise UserError(f"nothing in the store has a key that begins with {key!r}; crescent-store ls lists the keys")
    for place in found:
        item = items[place]
        print(f"{item.stage} {item.key}: {_size(item.bytes)}, {counted(item.records, 'record')}", item.state)
        folders = counted(len(item.paths), "folder")
        print(f"  at {item.paths[0] if len(item.paths) == 1 else f'{item.paths[0].parent} ({folders})'}")
        print(f"  made from {', '.join(sorted(item.inputs)) or 'nothing that has a key'}")
        print("  with " + json.dumps(item.settings, indent=1, ensure_ascii=False).replace("\n", "\n  "))
        print("  needed by " + (", ".join(sorted(map(str, used.by[place]))) or "no run"))


def _du(options: argparse.Namespace) -> None:
    items, used = _look(options)
    print(f"{'':<13} {'items':>7} {'size':>10} {'unused':>7} {'size':>10}")
    sums = defaultdict[str, Counter[str]](Counter)
    for item, by in zip(items, used.by, strict=True):
        for name in (item.stage, "all"):
            sums[name].update({"items": 1, "bytes": item.bytes})
            sums[name].update({"unused": 1, "unused bytes": item.bytes} if not by else {})
    for name in (*_in_order(sums.keys() - {"all"}), "all"):
        one = sums[name]
        print(
            f"{name:<13} {one['items']:>7,} {_size(one['bytes']):>10} {one['unused']:>7,} "
            f"{_size(one['unused bytes']):>10}"
        )
    print(f"what no run refers to, one by one: crescent-store ls --unused{_options(options)}")
    where = " ".join(map(str, options.runs or [path for path in RUNS if path.exists()])) or "DIR"
    print(f"to delete it: crescent-store prune --keep-runs {where}{_options(options, runs=False)}")


def _prune(options: argparse.Namespace) -> None:
    if not options.yes:
        made = plan(options.store, options.keep_runs)
        _tell(made, "would be deleted")
        if at_work := users(options.store):
            print(f"a run is using the store ({', '.join(at_work)}): nothing can be deleted before it ends")
        if made.unused:
            keep = " ".join(map(str, options.keep_runs))
            print(f"to delete: crescent-store prune --keep-runs {keep}{_options(options)} --yes")
        return
    done = list[Item]()
    made = prune(options.store, options.keep_runs, done.append)
    if left := len(made.unused) - len(done):
        print(f"{counted(left, 'item')} being built by another process: left alone")
    _tell(Plan(done, made.kept, made.runs, made.unfinished), "deleted")
    print("kept runs can be compared, exported and rerun as before; others rebuild what they need")


def _tell(made: Plan, what: str) -> None:
    for item in sorted(made.unused, key=lambda item: -item.bytes):
        print(f"{item.stage:<13} {item.key[:SHOWN]}  {_size(item.bytes):>9}  {item.state}".rstrip())
    freed, kept = (sum(item.bytes for item in items) for items in (made.unused, made.kept))
    for run in made.unfinished:
        print(
            f"{run} has not finished: all questions, draws and unfinished work stay, and what was made since it began; "
            "finish it, or name only the runs to keep"
        )
    print(
        f"{counted(len(made.unused), 'item')} ({_size(freed)}) {what}; {len(made.kept):,} ({_size(kept)}) stay for "
        f"{counted(made.runs, 'run')}"
    )


def _look(options: argparse.Namespace) -> tuple[list[Item], Needed]:
    items = contents(options.store)
    return items, needed(items, runs_below(options.runs or [path for path in RUNS if path.exists()]))


def _varied(items: Sequence[Item]) -> dict[int, list[tuple[str, Any]]]:
    """For each item, by id, the settings that differ among the items of its stage. Hashes tell a reader nothing."""
    flat = {id(item): dict(_flatten(item.settings)) for item in items}
    found = {}
    for item in items:
        others = [flat[id(one)] for one in items if one.stage == item.stage and not one.state]
        mine = flat[id(item)]
        found[id(item)] = [
            (name, value)
            for name, value in mine.items()
            if not re.search("[0-9a-f]{32}", str(value)) and any(one.get(name) != value for one in others)
        ]
    return found


def _end(name: str) -> str:
    return ".".join(name.split(".")[-2:])


def _length(setting: tuple[str, Any]) -> int:
    return len(str(setting[1]))


def _flatten(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(node, Mapping):
        for name, value in node.items():
            yield from _flatten(value, f"{path}.{name}" if path else str(name))
    elif node is not None:
        yield path, node if isinstance(node, int | float | str) else json.dumps(node)


def _in_order(names: Set[str]) -> list[str]:
    """Stages in the order of the method, then what is no stage."""
    others = [name for name in (LEDGER, EMBEDDINGS, WORK) if name in names]
    return [*in_order(sorted(names - set(others))), *others]


def _options(options: argparse.Namespace, runs: bool = True) -> str:
    """The options of this call that differ from the defaults, for a command to be copied."""
    store = "" if options.store == Path(os.environ.get("CRESCENT_STORE") or "outputs/store") else options.store
    given = f" --store {store}" if store else ""
    return given + (f" --runs {' '.join(map(str, options.runs))}" if runs and getattr(options, "runs", None) else "")


def _by(runs: set[Path]) -> str:
    return counted(len(runs), "run") if runs else "no run"


def _size(count: int) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} B"


def _cut(text: str, most: int) -> str:
    one_line = " ".join(text.split())
    return one_line if len(one_line) <= most else f"{one_line[: most - 3]}..."


if __name__ == "__main__":
    raise SystemExit(main())
