"""A comparison as a table: for the terminal, Markdown, LaTeX, CSV, JSON.

In: a `Comparison`. Out: text (or a rich table). Shares are in percent, differences in points; each difference has its
95 % interval, stars after correction, and its MDE if it is smaller than that. CSV and JSON have every number unrounded,
one line per row and task.
"""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich import box
from rich.markup import escape
from rich.table import Table

from crescent.reporting.analyse import axes as axis
from crescent.reporting.analyse.effects import effects, last_over_first
from crescent.reporting.analyse.explain import by_iteration, explain, measures_by_iteration
from crescent.reporting.analyse.noise import noise
from crescent.reporting.analyse.results import Comparison
from crescent.reporting.analyse.rows import Cell, Column, Row
from crescent.reporting.show.thoughts import has_thoughts, thought_text
from crescent.statistics.paired import Difference

TITLE = "lm-evaluation-harness, percent [95 % interval]; difference to {reference}, points"
STARS = "Stars: p < 0.05, 0.01, 0.001, corrected for {count} differences ({correction})."
PARTS = "Parts of tasks are corrected among themselves, for {count} differences."
MDE = "minimum detectable effect (80 % power, after that correction), shown where the difference is smaller"
SMALL = "(< x): smaller than x, the minimum detectable effect (80 % power, after that correction)."
TOKENS = "Tokens: of a question, read + written."
UNPAIRED = "†: unpaired, samples missing: computed as if all questions were independent."
OF_TWO_ROWS = ("gained", "lost", "detectable")
"""Fields of a difference that a weighted sum of rows does not have."""
CORRECTIONS = {"holm": "Holm", "bh": "Benjamini-Hochberg", "none": "not corrected"}


def scale(comparison: Comparison, column: Column) -> float:
    """100 for shares, 1 for metrics in another unit."""
    values = [row.cells[column].score.value for row in comparison.rows if column in row.cells]
    return 100.0 if all(0 <= value <= 1 for value in values) else 1.0


def stars_legend(comparison: Comparison) -> str:
    """Explains the stars, and the dagger and tokens if they appear."""
    lines = [STARS.format(count=comparison.differences, correction=CORRECTIONS[comparison.options.correction])]
    if comparison.part_differences:
        lines.append(PARTS.format(count=comparison.part_differences))
    if any(cell.difference and not cell.paired for row in comparison.rows for cell in row.cells.values()):
        lines.append(UNPAIRED)
    if comparison.has_promptings:
        lines.append(TOKENS)
    return " ".join(lines)


def legend(comparison: Comparison) -> str:
    """How to read the table."""
    return f"{stars_legend(comparison)} {SMALL}"


def rich_table(comparison: Comparison) -> Table:
    """One section per task, with one line per row."""
    title = escape(TITLE.format(reference=comparison.reference.label))
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", title_style="bold")
    table.add_column("", overflow="fold")
    tokens = ("tokens",) if comparison.has_promptings else ()
    thoughts = ("thought tokens",) if has_thoughts(comparison) else ()
    for name in ("seeds", "n", "score", "difference", "interval", "p", "MDE", *tokens, *thoughts):
        table.add_column(name, justify="right", no_wrap=True)
    for column in comparison.columns:
        factor = scale(comparison, column)
        table.add_row(f"[bold]{escape(column.name)}[/bold]")
        for row in comparison.rows:
            if column in row.cells:
                cell = row.cells[column]
                costs = ([_tokens_text(cell)] if tokens else []) + ([thought_text(cell)] if thoughts else [])
                table.add_row("  " + escape(row.label), *_parts(row, cell, factor), *costs)
        table.add_section()
    return table


def _parts(row: Row, cell: Cell, factor: float) -> list[str]:
    """seeds, n, score, difference, interval, p, MDE (if the difference is smaller)."""
    score, found = cell.score, cell.difference
    seeds = "" if row.is_model_as_found else str(len(cell.seeds))
    parts = [seeds, f"{score.questions:,}", f"{factor * score.value:.1f}"]
    if found is None or cell.p is None:
        return [*parts, "", "", "", ""]
    sign = "" if cell.paired else "†"
    interval = f"[{factor * found.low:+.1f}, {factor * found.high:+.1f}]"
    shown = f"{factor * found.detectable:.1f}" if cell.too_small else ""
    return [*parts, f"{factor * found.value:+.1f}{sign}{cell.stars:<3}", interval, p_text(cell.p), shown]


def _tokens_text(cell: Cell) -> str:
    """Tokens read + generated; empty if nothing was generated."""
    return f"{cell.prompt_tokens or 0:,.0f} + {cell.new_tokens:,.0f}" if cell.new_tokens is not None else ""


def seeds_text(row: Row) -> str:
    """The number of seeds averaged over, "2-3" if tasks differ; empty for an untrained baseline."""
    counts = sorted({len(cell.seeds) for cell in row.cells.values()} or {len(row.seeds)})
    return "" if row.is_model_as_found else "-".join(map(str, dict.fromkeys((counts[0], counts[-1]))))


def p_text(p: float) -> str:
    """Two or three digits; very small values as "< 0.001"."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def cell_text(cell: Cell, factor: float) -> str:
    """67.5 [61.2, 73.1]  +15.0 [+9.1, +20.8]***."""
    score, found = cell.score, cell.difference
    value = f"{factor * score.value:.1f}"
    if found is None:
        return f"{value} [{factor * score.low:.1f}, {factor * score.high:.1f}]"
    sign = "" if cell.paired else "†"
    difference = (
        f"{factor * found.value:+.1f}{sign} [{factor * found.low:+.1f}, {factor * found.high:+.1f}]{cell.stars}"
    )
    return f"{value}  {difference}" + (f" (< {factor * found.detectable:.1f})" if cell.too_small else "")


def markdown(comparison: Comparison) -> str:
    """One line per row, one column per task."""
    rows = [
        [name.replace("|", "\\|") for name in names] + [value.replace("|", "\\|") for value in values]
        for names, values in _matrix(comparison)
    ]
    header = [*_axis_names(comparison), "seeds", *(column.name for column in comparison.columns)]
    lines = ["| " + " | ".join(line) + " |" for line in (header, ["---"] * len(header), *rows)]
    reading = f"Percent, difference to {comparison.reference.label} in points, 95 % intervals. {legend(comparison)}"
    return "\n".join([*lines, "", reading, *(f"- {note}" for note in comparison.notes)]) + "\n"


def latex(comparison: Comparison) -> str:
    """A booktabs table."""
    names = _axis_names(comparison)
    header = [*names, "seeds", *(column.name for column in comparison.columns)]
    body = [[*left, *right] for left, right in _matrix(comparison)]
    lines = [" & ".join(_latex_text(value) for value in line) + r" \\" for line in body]
    shape = "l" * len(names) + "r" + "r" * len(comparison.columns)
    reading = f"Percent, difference to {comparison.reference.label} in points, 95 % intervals. {legend(comparison)}"
    return (
        "\n".join(
            [
                "% needs \\usepackage{booktabs}",
                rf"\begin{{tabular}}{{{shape}}}",
                r"\toprule",
                " & ".join(_latex_text(value) for value in header) + r" \\",
                r"\midrule",
                *lines,
                r"\bottomrule",
                r"\end{tabular}",
                "% " + reading,
            ]
        )
        + "\n"
    )


def records(comparison: Comparison) -> list[dict[str, Any]]:
    """Every number, as one mapping per row and task; values in the metric's own unit."""
    found = []
    for row in comparison.rows:
        for column, cell in row.cells.items():
            point = dict(zip(map(axis.short, comparison.axes), map(axis.text, row.point), strict=True))
            difference = _numbers(cell.difference) if cell.difference else {}
            found.append(
                {
                    "row": row.label,
                    "model": row.role,
                    "iteration": row.iteration,
                    "prompting": row.prompting,
                    **({} if row.is_model_as_found else point),
                    "seeds": list(cell.seeds),
                    "task": column.task,
                    "shots": column.shots,
                    **{f"score_{name}": value for name, value in asdict(cell.score).items()},
                    **{f"difference_{name}": value for name, value in difference.items()},
                    "p_corrected": cell.p,
                    "stars": cell.stars,
                    "paired": cell.paired if cell.difference else None,
                    "prompt_tokens": cell.prompt_tokens,
                    "new_tokens": cell.new_tokens,
                    "thought_tokens": cell.thought_tokens,
                    "cut_at_limit": cell.cut_at_limit,
                    "smaller_than_detectable": cell.too_small if cell.difference else None,
                }
            )
    return found


def _numbers(difference: Difference, without: Sequence[str] = ()) -> dict[str, float]:
    return {name: value for name, value in asdict(difference).items() if name not in ("spread", *without)}


def as_csv(comparison: Comparison) -> str:
    """`records` with a header; seeds are separated by spaces."""
    rows = records(comparison)
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({**row, "seeds": " ".join(map(str, row["seeds"]))} for row in rows)
    return text.getvalue()


def as_json(comparison: Comparison) -> str:
    """The whole comparison, for other programs."""
    content = {
        "axes": list(comparison.axes),
        "reference": comparison.reference.label,
        "correction": comparison.options.correction,
        "differences": comparison.differences,
        "part_differences": comparison.part_differences,
        "runs": [str(run.folder) for run in comparison.runs],
        "notes": list(comparison.notes),
        "results": records(comparison),
        "effects": [
            {"axis": effect.axis, "what": effect.what, "strata": effect.strata[column], "task": column.task}
            | {"shots": column.shots, **_numbers(difference, without=OF_TWO_ROWS)}
            for effect in (*effects(comparison), *noise(comparison))
            for column, difference in effect.differences.items()
        ],
        "explained": [
            {"row": row.label, "seeds": list(row.seeds)}
            | {name: asdict(mean) if mean else None for name, mean in explain(row).items()}
            for row in comparison.students
        ],
        "iterations": [
            {"row": row.label, "task": column.task, "shots": column.shots, "iteration": at, **asdict(mean)}
            for row in comparison.students
            for column in comparison.columns
            for at, mean in enumerate(by_iteration(row, column, comparison.options.metric))
            if mean is not None
        ],
        "last_over_first": [
            {"row": row.label, "task": column.task, "shots": column.shots} | _numbers(difference, without=OF_TWO_ROWS)
            for row in comparison.students
            for column in comparison.columns
            if (difference := last_over_first(comparison, row, column))
        ],
        "measures_by_iteration": [
            {"row": row.label, "measure": name, "iteration": at, **asdict(mean)}
            for row in comparison.students
            for name, means in measures_by_iteration(row).items()
            for at, mean in enumerate(means, start=1)
            if mean is not None
        ],
    }
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


FORMATS: Mapping[str, Callable[[Comparison], str]] = {
    "md": markdown,
    "csv": as_csv,
    "latex": latex,
    "json": as_json,
}


def _axis_names(comparison: Comparison) -> list[str]:
    return [axis.short(one) for one in comparison.axes] or ["run"]


def _matrix(comparison: Comparison) -> list[tuple[list[str], list[str]]]:
    """For each row: its point (or its label), and its seeds and cells."""
    width = len(_axis_names(comparison))
    lines = []
    for row in comparison.rows:
        points = [axis.text(value) for value in row.point]
        names = points if comparison.axes and not row.is_model_as_found else [row.label] + [""] * (width - 1)
        cells = []
        for column in comparison.columns:
            cell = row.cells.get(column)
            tokens = _tokens_text(cell) if cell and comparison.has_promptings else ""
            text = cell_text(cell, scale(comparison, column)) if cell else "–"
            cells.append(f"{text}, {tokens} tokens" if tokens else text)
        lines.append((names, [seeds_text(row), *cells]))
    return lines


def _latex_text(text: str) -> str:
    """`text` with LaTeX's special characters escaped."""
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "†": r"$\dagger$"}
    special |= {char: "\\" + char for char in "&%$#_{}"} | {"<": "$<$", ">": "$>$", "–": "--"}
    return "".join(special.get(char, char) for char in text)


def notes_lines(notes: Sequence[str]) -> str:
    """Notes, one per line."""
    return "".join(f"  note: {note}\n" for note in notes)
