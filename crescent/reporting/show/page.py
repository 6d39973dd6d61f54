"""report.html: a comparison, or a single run, as one page that needs no other file and no network.

In: a `Comparison`. Out: the page. Model text is treated as data: the template escapes it, browsable samples are JSON in
which no tag can begin, the script only sets text, and a content security policy forbids any other script.
"""

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from crescent.core.console import Console
from crescent.core.store import write_atomic
from crescent.reporting.analyse import axes as axis
from crescent.reporting.analyse.details import Details, collect
from crescent.reporting.analyse.results import Comparison
from crescent.reporting.analyse.rows import Cell, Column, Row
from crescent.reporting.analyse.stages import stage_totals
from crescent.reporting.show import figures
from crescent.reporting.show.figures.figure import asked_labels, column_labels, is_part, tokens_per_question, unit
from crescent.reporting.show.headline import duration, headline
from crescent.reporting.show.sheets import main_effects
from crescent.reporting.show.tables import p_text, scale, seeds_text, stars_legend
from crescent.reporting.show.thoughts import thought_lines

ASSETS = Path(__file__).parent / "assets"
MAX_PAGE_BYTES = 7_500_000
"""What a page may weigh: browsable samples get the room that tables and figures leave."""
MAX_DETAIL_BYTES = 4_000_000
"""Maximum size of browsable samples."""
DATA = "browsable samples"
"""Stands for them until their room is known."""
MOST_ENTRIES = 400
"""Per kind and configuration; reduced until they fit."""
SAMPLE_KINDS = (
    ("questions", "Questions", "What the model asked and diversification kept."),
    ("rejections", "Rejections", "Candidates too similar to a kept question, with their rewrites, and invalid ones."),
    ("votes", "Votes", "How the draws of a question voted, and the response that became the training answer."),
    ("changes", "Changed answers", "Benchmark questions that became right, or wrong, with training."),
)  # fmt: skip


def write_page(comparison: Comparison, path: Path, console: Console) -> Path:
    """Writes the page. Raises OSError if it cannot."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, render(comparison, console))
    return path


def render(comparison: Comparison, console: Console) -> str:
    with console.progress("report drawn", len(figures.ALL) + 1, "parts") as tally:
        drawn = []
        for make in figures.ALL:
            drawn += make(comparison)
            tally.advance()
        details = collect(comparison, MOST_ENTRIES)
        tally.advance()
    script, style = (ASSETS / "page.js").read_text("utf-8"), (ASSETS / "page.css").read_text("utf-8")
    environment = Environment(
        loader=FileSystemLoader(ASSETS),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = lambda value: f"{value:,.0f}"
    environment.filters["breakable"] = breakable
    environment.filters["duration"] = duration
    page = environment.get_template("page.html").render(
        title=_title(comparison),
        comparison=comparison,
        models=_models(comparison),
        legend=stars_legend(comparison) + _other_units(comparison),
        headline=headline(comparison),
        tables=[_table(comparison, column) for column in comparison.columns],
        columns=_ordered(comparison.columns),
        matrix=_matrix(comparison),
        single=_single(comparison),
        stages=stage_totals(comparison.runs),
        prompted=_prompted(comparison),
        thoughts=thought_lines(comparison),
        effects=main_effects(comparison),
        axes=[axis.short(one) for one in comparison.axes],
        # panels are our own SVG, script and style our own files; data cannot escape its element (safe_json)
        figures=[_shown(one) for one in drawn],
        kinds=[(kind, name, what, details.totals.get(kind, 0)) for kind, name, what in SAMPLE_KINDS],
        data=Markup(safe_json(DATA)),
        script=Markup(script),
        style=Markup(style),
        script_hash=_hash(script),
        style_hash=_hash(style),
        origin=_origin(comparison),
    )
    room = min(MAX_DETAIL_BYTES, MAX_PAGE_BYTES - len(page.encode()))
    return page.replace(safe_json(DATA), safe_json(_fitting(comparison, details, room)))


def _shown(figure: figures.Figure) -> dict[str, Any]:
    key = [(Markup(svg), name) for svg, name in figure.key]
    panels, parts = ([Markup(svg) for svg in some] for some in (figure.panels, figure.parts))
    return {"title": figure.title, "caption": figure.caption, "panels": panels, "parts": parts, "key": key}


def breakable(name: str) -> Markup:
    """A name with possible line breaks after / _ . and =; the rest is escaped."""
    return Markup(re.sub(r"([/_.=])", r"\1<wbr>", str(escape(name))))


def safe_json(value: Any) -> str:
    """JSON that is safe inside a script element: no character can begin a tag, a comment or an entity."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text


def _fitting(comparison: Comparison, details: Details, room: int) -> dict[str, Any]:
    """As many browsable entries as fit into `room` bytes, but at least two of each kind and configuration."""
    at_most = MOST_ENTRIES
    while True:
        data = {kind: getattr(details, kind) for kind, _, _ in SAMPLE_KINDS}
        size = len(safe_json(data).encode())
        if size <= room or at_most <= 2:
            return data
        at_most = max(2, min(at_most // 2, int(at_most * room / size)))
        details = collect(comparison, at_most)


def _title(comparison: Comparison) -> str:
    names = list(dict.fromkeys(run.experiment for run in comparison.runs))
    return ", ".join(names[:3]) + (" and others" if len(names) > 3 else "")


def _models(comparison: Comparison) -> str:
    """Who teaches whom, if all runs have the same two models."""
    pairs = {(run.settings.get("model.name"), run.settings.get("distill.student.name")) for run in comparison.runs}
    if len(pairs) > 1 or None in next(iter(pairs)):
        return ""
    [(teacher, student)] = pairs
    return f"{teacher} teaches itself" if teacher == student else f"{teacher} teaches {student}"


def _other_units(comparison: Comparison) -> str:
    """Names the scores that are not percentages."""
    units = {column.name: unit(comparison, column) for column in comparison.columns}
    others = [f"{name} counts {what}" for name, what in units.items() if what != "percent right"]
    return f" {'; '.join(others)}." if others else ""


def _ordered(columns: Sequence[Column]) -> list[Column]:
    """Whole tasks first, then parts."""
    return sorted(columns, key=lambda column: is_part(column, columns))


def _matrix(comparison: Comparison) -> list[dict[str, Any]]:
    """Rows of the overview: a point, and one short cell per task."""
    lines = []
    for row in comparison.rows:
        names = [axis.text(value) for value in row.point] if comparison.axes and row.role == "student" else [row.label]
        columns = _ordered(comparison.columns)
        cells = [_short_cell(row.cells.get(column), scale(comparison, column)) for column in columns]
        lines.append({"names": names, "student": row.role == "student", "seeds": seeds_text(row), "cells": cells})
    return lines


def _short_cell(cell: Cell | None, factor: float) -> dict[str, str] | None:
    if cell is None:
        return None
    found = cell.difference
    change = "" if found is None else f"{factor * found.value:+.1f}{cell.stars}{'' if cell.paired else '†'}"
    verdict = "" if found is None or not cell.stars else ("up" if found.value > 0 else "down")
    return {"score": f"{factor * cell.score.value:.1f}", "change": change.replace("-", "−"), "verdict": verdict}


def _single(comparison: Comparison) -> list[dict[str, str]]:
    """For a single configuration: one line per task, with teacher, base and student, all with the plain prompt."""
    if len(comparison.students) != 1:
        return []
    [row] = comparison.students
    others = {found.role: found for found in comparison.rows if found.role != "student" and found.prompting == "none"}
    lines = []
    columns = [column for column in comparison.columns if column in row.cells]
    for name, column in zip(column_labels(columns), columns, strict=True):
        factor = scale(comparison, column)
        line = _line(row, row.cells[column], factor) | {"name": name}
        for role in ("teacher", "base"):
            cell = others[role].cells.get(column) if role in others else None
            line[role] = f"{factor * cell.score.value:.1f}" if cell else "–"
        lines.append(line)
    return lines


def _prompted(comparison: Comparison) -> list[dict[str, Any]]:
    """For each task with a scored baseline: base, baselines and students, with the tokens per question."""
    tables = []
    for column in comparison.columns:
        rows = [row for row in comparison.rows if row.role != "teacher" and column in row.cells]
        if is_part(column, comparison.columns) or all(row.prompting == "none" for row in rows):
            continue
        factor, lines = scale(comparison, column), []
        for name, row in zip(asked_labels(comparison, rows), rows, strict=True):
            tokens = tokens_per_question(row, column)
            cost = "–" if tokens is None else f"{tokens:,.0f}"
            lines.append(_line(row, row.cells[column], factor) | {"name": name, "tokens": cost})
        tables.append({"name": column.name, "rows": lines})
    return tables


def _table(comparison: Comparison, column: Column) -> dict[str, Any]:
    """All numbers of one task."""
    factor = scale(comparison, column)
    rows = [_line(row, row.cells[column], factor) for row in comparison.rows if column in row.cells]
    return {"name": column.name, "rows": rows}


def _line(row: Row, cell: Cell, factor: float) -> dict[str, str]:
    score, found = cell.score, cell.difference
    line = {
        "name": row.label,
        "seeds": str(len(cell.seeds)) if row.role == "student" else "",
        "n": f"{score.questions:,}",
        "score": f"{factor * score.value:.1f}",
        "score_interval": f"{factor * score.low:.1f}\N{NO-BREAK SPACE}to {factor * score.high:.1f}",
        "difference": "", "interval": "", "p": "", "shows": "", "changed": "", "verdict": "",
    }  # fmt: skip
    if found is not None and cell.p is not None:
        line |= {
            "difference": f"{factor * found.value:+.1f}{cell.stars}{'' if cell.paired else '†'}",
            "interval": f"{factor * found.low:+.1f}\N{NO-BREAK SPACE}to {factor * found.high:+.1f}",
            "p": p_text(cell.p),
            "shows": f"{factor * found.detectable:.1f}" if cell.too_small else "",
            "changed": f"+{found.gained:.0f} / -{found.lost:.0f}" if found.gained or found.lost else "",
            "verdict": _short_cell(cell, factor)["verdict"],  # type: ignore[index]
        }
    return {name: value if name == "name" else value.replace("-", "−") for name, value in line.items()}


def _origin(comparison: Comparison) -> list[str]:
    """Where the numbers come from: commits, packages, run folders."""
    commits: Sequence[str] = sorted({run.git for run in comparison.runs if run.git})
    versions = sorted({f"{name} {value}" for run in comparison.runs for name, value in run.versions.items()})
    folders = [str(run.folder) for run in comparison.runs]
    shown = folders if len(folders) <= 4 else [*folders[:3], f"and {len(folders) - 3} more"]
    return [
        *(["Commit " + ", ".join(commits)] if commits else []),
        ", ".join(versions),
        "Runs: " + ", ".join(shown),
    ]


def _hash(text: str) -> str:
    """The content security policy's source expression for this inline text."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
