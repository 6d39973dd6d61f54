"""The three sentences on top of a report: what changed, how sure that is, and what it cost.

In: a `Comparison`. Out: (label, sentence) pairs. Only whole tasks count, and only significant changes are called so.
"""

from collections.abc import Sequence

from crescent.core.stages import STAGES
from crescent.reporting.analyse.results import Comparison
from crescent.reporting.analyse.rows import Cell, Column, Row
from crescent.reporting.read.runs import Run
from crescent.reporting.show.tables import CORRECTIONS, p_text, scale

Found = tuple[Column, Row, Cell]
"""A student's score in a whole task, with its difference."""


def headline(comparison: Comparison) -> list[tuple[str, str]]:
    """The sentences, with minus signs."""
    found = [
        (column, row, cell)
        for row in comparison.students
        for column, cell in row.cells.items()
        if cell.difference is not None and not column.part
    ]
    sentences = (
        ("What changed", _change(comparison, found)),
        ("How sure", _certainty(comparison, found)),
        ("What it cost", _cost(comparison.runs)),
    )
    return [(label, text.replace(" -", " −")) for label, text in sentences]


def _change(comparison: Comparison, found: Sequence[Found]) -> str:
    made = _data(comparison.runs)
    if not comparison.columns:
        return f"Nothing was scored{made and f'; {made}'}."
    if not found:
        return f"No difference could be computed{made and f'; {made}'}."
    up, down = (sum(bool(cell.stars) and sign * _value(cell) > 0 for _, _, cell in found) for sign in (1, -1))
    column, row, cell = max(found, key=lambda one: abs(_value(one[2])) * scale(comparison, one[0]))
    factor = scale(comparison, column)
    after, change = factor * cell.score.value, factor * _value(cell)
    moved = f"{column.name} went from {after - change:.1f} to {after:.1f} ({change:+.1f})"
    if len(found) == 1:
        return f"{moved}{made and f'; {made}'}."
    which = "" if len(comparison.students) == 1 else f" with {row.label}"
    counted = f"Of {len(found):,} scores, {up} rose and {down} fell significantly"
    return f"{counted}; the largest change: {moved}{which}."


def _certainty(comparison: Comparison, found: Sequence[Found]) -> str:
    if not found:
        return "There is no difference to be sure of."
    small = sum(cell.too_small for _, _, cell in found)
    seeds = sorted({len(cell.seeds) for _, _, cell in found})
    many = f"{seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else f"{seeds[0]}"
    sampled = "one seed, so another seed may give another result" if seeds == [1] else f"{many} seeds per configuration"
    if len(found) == 1:
        [(column, _, cell)] = found
        assert cell.difference is not None and cell.p is not None
        factor = scale(comparison, column)
        low, high = factor * cell.difference.low, factor * cell.difference.high
        p = p_text(cell.p)
        missed = f"smaller than {factor * cell.difference.detectable:.1f}, the smallest effect it would probably find; "
        sure = f"The 95 % interval of the difference is {low:+.1f} to {high:+.1f} (p {p if p[0] == '<' else f'= {p}'})"
        return f"{sure}, {missed if small else ''}{sampled}."
    correction = comparison.options.correction
    corrected = CORRECTIONS[correction] if correction == "none" else f"corrected by {CORRECTIONS[correction]}"
    power = f"; {small} are below the minimum detectable effect, where a missing star is no evidence" if small else ""
    return f"The {len(found):,} differences are paired by question and {corrected}; {sampled}{power}."


def _cost(runs: Sequence[Run]) -> str:
    stages = [stage for run in runs for stage in run.stages]
    new, seconds = (sum(stage[name] for stage in stages if name in stage) for name in ("new_tokens", "seconds"))
    reused = sum(stage.get("tokens", 0) for stage in stages) - new
    stored = f"; {reused:,} more came from the store" if reused else ""
    return f"{new:,} tokens generated or trained on, in {duration(seconds)} of work{stored}."


def duration(seconds: float) -> str:
    """Seconds, minutes or hours, whichever is readable."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _data(runs: Sequence[Run]) -> str:
    """What a single run was trained on; empty for several runs."""
    if len(runs) != 1:
        return ""
    made = {info.yields: stage for info in STAGES if (stage := runs[0].stage(info.name)) is not None}
    named = [f"{made[what]['records']:,} {what}" for what in ("pairs", "questions") if what in made]
    return f"trained on {' from '.join(named)}" if "pairs" in made else ""


def _value(cell: Cell) -> float:
    assert cell.difference is not None
    return cell.difference.value
