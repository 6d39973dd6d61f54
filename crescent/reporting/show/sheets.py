"""Small tables shown with the main one: what explains the rows, scores by iteration, main effects.

In: a `Comparison`. Out: a `Sheet`, for the terminal and as Markdown. JSON has the same numbers (`tables.as_json`).
"""

from collections.abc import Iterator
from dataclasses import dataclass

from rich import box
from rich.markup import escape
from rich.table import Table

from crescent.reporting.analyse.effects import effects, last_over_first, never_varied_alone
from crescent.reporting.analyse.explain import Mean, by_iteration, explain, measures_by_iteration
from crescent.reporting.analyse.noise import NOISE, noise
from crescent.reporting.analyse.results import Comparison
from crescent.reporting.analyse.rows import Column
from crescent.reporting.show.tables import scale
from crescent.statistics.paired import Difference


@dataclass(frozen=True, slots=True)
class Sheet:
    """A small table shown with the main one. The first column is text, the others are numbers."""

    title: str
    header: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]

    def rich(self) -> Table:
        """The table for the terminal."""
        table = Table(box=box.SIMPLE_HEAD, title=escape(self.title), title_justify="left", title_style="bold")
        for place, name in enumerate(self.header):
            table.add_column(escape(name), justify="right" if place else "left", overflow="fold")
        for line in self.lines:
            table.add_row(*map(escape, line))
        return table

    def markdown(self) -> str:
        """The title, an empty line, a pipe table."""
        lines = [self.header, ("---",) * len(self.header), *self.lines]
        escaped = [[value.replace("|", "\\|") for value in line] for line in lines]
        return "\n".join(["", self.title, "", *("| " + " | ".join(line) + " |" for line in escaped)]) + "\n"


EXPLAINED = (
    ("label_accuracy", "labels right, %", 100, ".1f"),
    ("agreement", "agreement, %", 100, ".1f"),
    ("vendi", "Vendi", 1, ".1f"),
    ("pairs", "pairs", 1, ",.0f"),
    ("draws", "draws per question", 1, ".1f"),
    ("rewrites", "rewrites", 1, ",.0f"),
    ("dropped", "dropped", 1, ",.0f"),
    ("tokens", "thousand tokens", 1e-3, ",.0f"),
    ("generated", "of them generated", 1e-3, ",.0f"),
)


WHERE_THEY_DIFFER = ("draws", "rewrites", "dropped")
"""Measures that are shown only if rows differ in them."""


def explanation(comparison: Comparison) -> Sheet:
    """Explains each row of students: means over the seeds, ± their standard deviation."""
    found = [explain(row) for row in comparison.students]
    shown = [one for one in EXPLAINED if one[0] not in WHERE_THEY_DIFFER or len({row[one[0]] for row in found}) > 1]
    lines = []
    for row, means in zip(comparison.students, found, strict=True):
        values = (mean_text(means[name], factor, form) for name, _, factor, form in shown)
        lines.append((row.label, str(len(row.seeds)), *values))
    title = (
        "What explains the rows: means over seeds ± standard deviation of the seeds. Vendi: effective number of "
        "different questions kept; tokens: of data and training, including those found in the store"
    )
    return Sheet(title, ("", "seeds", *(name for _, name, _, _ in shown)), tuple(lines))


PER_ITERATION = (
    ("diversity", "Vendi as generated", 1, ".1f"),
    ("valid", "valid, %", 100, ".1f"),
    ("label_accuracy", "labels right, %", 100, ".1f"),
    ("agreement", "agreement, %", 100, ".1f"),
    ("trained_on", "pairs trained on", 1, ",.0f"),
)


def iterations(comparison: Comparison) -> Sheet:
    """Each row's student after each iteration (0: its base before training), and measures of its questions and
    labels.
    """
    lines = [*_scores_by_iteration(comparison), *_measures_by_iteration(comparison)]
    most = max((len(values) for _, values, _ in lines), default=0)
    header = ("", *(f"iteration {at}" for at in range(most)), "last over first")
    title = (
        "By iteration: score, percent, then measures of questions and labels; means over seeds ± standard deviation of "
        "the seeds. Last over first: points with the 95 % interval, paired by question"
    )
    padded = ((name, *values, *["–"] * (most - len(values)), gained) for name, values, gained in lines)
    return Sheet(title, header, tuple(padded))


def _scores_by_iteration(comparison: Comparison) -> Iterator[tuple[str, list[str], str]]:
    """Yields a label, a text per iteration, and the gain of the last iteration over the first."""
    for column in comparison.columns:
        factor = scale(comparison, column)
        for row in comparison.students:
            values = []
            for mean in by_iteration(row, column, comparison.options.metric):
                few = f" ({mean.seeds} seeds)" if mean and mean.seeds < len(row.seeds) else ""
                values.append(mean_text(mean, factor, ".1f") + few)
            gained = difference_text(comparison, last_over_first(comparison, row, column), column)
            yield f"{column.name}: {row.label}", values, gained


def _measures_by_iteration(comparison: Comparison) -> Iterator[tuple[str, list[str], str]]:
    """The same for measures that no benchmark gives; they have no value before the first iteration."""
    for name, title, factor, form in PER_ITERATION:
        for row in comparison.students:
            means = measures_by_iteration(row)[name]
            if any(means):
                yield f"{title}: {row.label}", ["–", *(mean_text(mean, factor, form) for mean in means)], "–"


def main_effects(comparison: Comparison) -> Sheet:
    """The effect of each setting with all others equal, and the noise floor."""
    lines = []
    for effect in effects(comparison):
        most = max(effect.strata.values(), default=0)
        cells = []
        for column in comparison.columns:
            text = difference_text(comparison, effect.differences.get(column), column)
            fewer = column in effect.strata and effect.strata[column] < most
            cells.append(f"{text} at {effect.strata[column]}" if fewer else text)
        lines.append((effect.what, str(most or "–"), *cells))
    again = noise(comparison)
    for effect in again:
        texts = (difference_text(comparison, effect.differences.get(column), column) for column in comparison.columns)
        lines.append((effect.what, "–", *texts))
    title = (
        "What each setting does, all others equal: points with each effect's own 95 % interval, averaged over that "
        "many combinations of the other settings (at)"
    )
    if only_together := never_varied_alone(comparison):
        title += f". Never changed alone: {', '.join(only_together)}"
    if again:
        title += f". {NOISE}: equal settings and seed in another store, the noise floor"
    return Sheet(title, ("", "at", *(column.name for column in comparison.columns)), tuple(lines))


def difference_text(comparison: Comparison, difference: Difference | None, column: Column) -> str:
    """+0.4 [-0.2, +1.0], with the number of seeds if it is less than the maximum; a dash if unknown."""
    if difference is None:
        return "–"
    factor, most = scale(comparison, column), max(len(row.seeds) for row in comparison.students)
    seeds = f" ({difference.seeds} seed{'s'[: difference.seeds > 1]})" if difference.seeds < most else ""
    low, high = factor * difference.low, factor * difference.high
    return f"{factor * difference.value:+.1f} [{low:+.1f}, {high:+.1f}]{seeds}"


def mean_text(mean: Mean | None, factor: float, form: str) -> str:
    """91.2 ± 0.4; without a deviation for one seed; a dash if unknown."""
    if mean is None:
        return "–"
    deviation = "" if mean.deviation is None else f" ± {factor * mean.deviation:{form}}"
    return f"{factor * mean.value:{form}}{deviation}"
