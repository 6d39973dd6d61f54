"""The command `crescent-compare`: compares runs on disk in a table, an HTML page or a W&B report.

In: run folders, sweep folders, or any folder above them. Out: the table on stdout, remarks on stderr, the page if
requested. Computes nothing itself and starts no run.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console as RichConsole

from crescent.cli.arguments import a_path, a_store, new_file
from crescent.cli.next_steps import after_comparison
from crescent.core.console import Console
from crescent.core.errors import UserError
from crescent.reporting.analyse.reference import BASE
from crescent.reporting.analyse.results import Comparison, Options, compare
from crescent.reporting.read.runs import read_all
from crescent.reporting.show import tables
from crescent.reporting.show.sheets import Sheet, explanation, iterations, main_effects

WHOLE = ("csv", "json")
"""Formats that always contain everything, including parts of tasks."""
HINT = "give folders of runs with scores, such as outputs/latest or multirun/NAME/TIME"


def main(arguments: Sequence[str] | None = None) -> None:
    """The console script. A user's mistake prints one line and ends with exit status 2."""
    asked = _parser().parse_args(arguments)
    try:
        _run(asked)
    except ValueError as error:
        print(f"crescent-compare: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        print(f"crescent-compare: {error.strerror or error}{where}", file=sys.stderr)
        raise SystemExit(1) from None


def _run(asked: argparse.Namespace) -> None:
    console = Console()
    runs, notes = read_all(asked.paths, asked.store)
    if not runs:
        print(tables.notes_lines(notes), end="", file=sys.stderr)
        raise UserError(f"no run is left to compare; {HINT}")
    options = Options(
        asked.reference, tuple(asked.task), tuple(asked.shots), asked.metric, asked.correction, asked.interval,
        asked.parts or asked.format in WHOLE,
    )  # fmt: skip
    comparison = compare(runs, options, console, notes)
    sheets = [make(comparison) for make, wanted in _sheets(asked) if wanted]
    _print(comparison, asked.format, sheets)
    print(tables.notes_lines(comparison.notes), end="", file=sys.stderr)
    page = None
    if asked.html:
        from crescent.reporting.show.page import write_page

        page = write_page(comparison, asked.html, console)
        console.say(f"report: {page}  ({page.stat().st_size / 1e6:.1f} MB)")
    if asked.wandb:
        from crescent.reporting.show.wandb_report import publish

        folder = page.parent if page else Path("outputs")
        for line in publish(comparison, page, asked.project, asked.entity, folder.absolute()):
            console.say(line)
    console.say(after_comparison(asked.paths, page))


def _sheets(asked: argparse.Namespace) -> list[tuple[Callable[[Comparison], Sheet], bool]]:
    """Each small table, and whether it is requested. Raises UserError for a format that cannot show them."""
    sheets = [(main_effects, asked.effects), (explanation, asked.explain), (iterations, asked.iterations)]
    if any(wanted for _, wanted in sheets) and asked.format not in ("rich", "md"):
        raise UserError(
            f"--effects, --explain and --iterations print extra tables, which --format {asked.format} cannot show; use "
            "--format md, or json, which always includes them"
        )
    return sheets


def _print(comparison: Comparison, form: str, sheets: Sequence[Sheet]) -> None:
    if form != "rich":
        print(tables.FORMATS[form](comparison) + "".join(sheet.markdown() for sheet in sheets), end="")
        return
    terminal = RichConsole()
    if not terminal.is_terminal:
        terminal = RichConsole(width=120)
    terminal.print(tables.rich_table(comparison))
    for sheet in sheets:
        terminal.print(sheet.rich())
    terminal.print(f"MDE: {tables.MDE}. {tables.stars_legend(comparison)}", markup=False, highlight=False)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "crescent-compare",
        description="Compare runs: which settings differ, what each did to the scores, and how sure that is.",
    )
    parser.add_argument("paths", nargs="+", type=a_path, metavar="RUN_OR_SWEEP", help="folders that hold runs")
    parser.add_argument(
        "--reference", default=BASE, metavar="KEY=VALUE,...",
        help="what to compare with: a configuration (dedup=none,vote.draws=1), `base` (default): each "
        "student's own base model before training, or that model with a prompting baseline (prompting=zero_shot_cot)",
    )  # fmt: skip
    parser.add_argument("--task", action="append", default=[], help="only this task; may be given more than once")
    parser.add_argument("--shots", action="append", type=int, default=[], help="only this number of few-shot examples")
    parser.add_argument("--parts", action="store_true", help="also parts of tasks (csv and json always include them)")
    parser.add_argument(
        "--effects", action="store_true", help="a table of each setting's effect, all others equal; trends of numbers"
    )
    parser.add_argument(
        "--explain", action="store_true", help="a second table: labels, votes, diversity, pairs, tokens"
    )
    parser.add_argument("--iterations", action="store_true", help="a table of scores by iteration")
    parser.add_argument("--metric", help='a metric other than the primary one, as "exact_match,strict-match"')
    parser.add_argument("--correction", choices=("holm", "bh", "none"), default="holm", help="of p-values, for stars")
    parser.add_argument("--interval", choices=("analytic", "bootstrap"), default="analytic", help="of differences")
    parser.add_argument("--format", choices=("rich", *tables.FORMATS), default="rich", help="of the table on stdout")
    parser.add_argument("--html", type=new_file, metavar="FILE", help="write the report as one self-contained page")
    parser.add_argument("--store", type=a_store, help="the store's folder, if it was moved")
    parser.add_argument("--wandb", action="store_true", help="log table and report to W&B, and create a W&B report")
    parser.add_argument("--project", help="the W&B project (default: that of the runs)")
    parser.add_argument("--entity", help="the W&B entity (default: that of the runs, else yours)")
    return parser


if __name__ == "__main__":
    main()
