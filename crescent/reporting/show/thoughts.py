"""Thoughts of models: their length, and how often the token limit cut a response off.

In: a comparison, or one of its cells. Out: texts for tables and pages; empty if no model thinks.
"""

from crescent.reporting.analyse.results import Comparison
from crescent.reporting.analyse.rows import Cell


def has_thoughts(comparison: Comparison) -> bool:
    """True if a model of the comparison thinks."""
    return any(cell.thought_tokens is not None for row in comparison.rows for cell in row.cells.values())


def thought_text(cell: Cell) -> str:
    """812, 5 % cut off."""
    if cell.thought_tokens is None:
        return ""
    return f"{cell.thought_tokens:,.0f}, {100 * (cell.cut_at_limit or 0):.0f} % cut off"


def thought_lines(comparison: Comparison) -> list[dict[str, str]]:
    """One line per whole task and model."""
    return [
        {"task": column.name, "model": row.label, "thought": thought_text(cell)}
        for column in comparison.columns
        for row in comparison.rows
        if not column.part and (cell := row.cells.get(column)) is not None and cell.thought_tokens is not None
    ]
