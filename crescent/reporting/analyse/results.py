"""Compares runs: for each configuration and task a score, and its difference to a reference.

In: runs of any number of configurations, tasks and seeds. Out: a `Comparison`. Seeds of one configuration form one row;
a difference pairs every question with itself under the reference. Stars come from p-values corrected for all
differences of whole tasks; parts of tasks are corrected separately, so that they cost the tasks no power. Prints
nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from crescent.core.console import Console
from crescent.core.errors import UserError
from crescent.core.records import Score
from crescent.evaluation.metrics import COSTS, THOUGHTS
from crescent.reporting.analyse import axes as axis
from crescent.reporting.analyse.axes import Axes
from crescent.reporting.analyse.reference import BASE, Reference, find
from crescent.reporting.analyse.rows import Cell, Column, Row, dedupe_rows, evaluation_of, rows_of, score_of, tokens_of
from crescent.reporting.read.items import Items, SampleReader, align
from crescent.reporting.read.runs import Run
from crescent.statistics.paired import (
    Correction,
    Difference,
    Estimate,
    Interval,
    adjust,
    mean_estimate,
    paired_difference,
    score_estimate,
    unpaired_difference,
)


@dataclass(frozen=True, slots=True)
class Options:
    """What to compare. `reference`: "base" (each student with its own base), "prompting=NAME" (with its own base under
    that prompting), or KEY=VALUE,... of a row.

    `parts`: parts of tasks are columns too. A part named in `tasks` always is.
    """

    reference: str = BASE
    tasks: tuple[str, ...] = ()
    shots: tuple[int, ...] = ()
    metric: str | None = None
    correction: Correction = "holm"
    interval: Interval = "analytic"
    parts: bool = False


@dataclass(frozen=True, slots=True)
class Comparison:
    """Rows in order (untrained baselines first), columns in order, and notes on what could not be compared."""

    axes: Axes
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    reference: Reference
    options: Options
    notes: tuple[str, ...]
    runs: tuple[Run, ...]
    reader: SampleReader = field(repr=False)

    @property
    def students(self) -> tuple[Row, ...]:
        return tuple(row for row in self.rows if row.role == "student")

    @property
    def differences(self) -> int:
        """Number of differences of whole tasks; p-values are corrected for it."""
        return len(_family(self.rows, parts=False))

    @property
    def part_differences(self) -> int:
        """Number of differences of parts, which are corrected separately."""
        return len(_family(self.rows, parts=True))

    @property
    def has_promptings(self) -> bool:
        """True if several promptings are compared."""
        return len({row.prompting for row in self.rows}) > 1


def compare(runs: Sequence[Run], options: Options, console: Console, notes: Sequence[str] = ()) -> Comparison:
    """Compares runs. Raises UserError if the reference or a filter matches nothing."""
    found = axis.find_axes(runs)
    remarks = list(notes)
    for key in axis.differing_evaluation(runs):
        values = ", ".join(sorted({axis.text(run.settings.get(key)) for run in runs}))
        remarks.append(f"{key} differs between runs ({values}): their scores of a task are not comparable")
    columns = _columns(runs, options)
    rows = [row for point, group in axis.group(runs, found).items() for row in rows_of(found, point, group, remarks)]
    rows = dedupe_rows(rows)
    if any(row.role == "student" and len(row.seeds) == 2 for row in rows):
        remarks.append("two seeds say little about the variation over seeds: intervals are wide; use three or more")
    reference = find(options.reference, found, rows)
    reader = SampleReader()
    work, filled = _Work(options, reference, reader, remarks), []
    with console.progress("compared", len(rows), "rows") as tally:
        for row in rows:
            filled.append(replace(row, cells=work.cells(row, columns)))
            tally.advance()
    rows, notes = _corrected(filled, options.correction), tuple(dict.fromkeys(remarks))
    return Comparison(found, columns, tuple(rows), reference, options, notes, tuple(runs), reader)


class _Work:
    """Fills the cells of rows; reads each samples file once."""

    def __init__(self, options: Options, reference: Reference, reader: SampleReader, notes: list[str]) -> None:
        self._options, self._reference, self._reader, self._notes = options, reference, reader, notes

    def cells(self, row: Row, columns: Sequence[Column]) -> dict[Column, Cell]:
        cells = {}
        for column in columns:
            scored = [
                (run, score)
                for run in row.runs
                if (score := score_of(run, row, column, self._options.metric)) is not None
            ]
            if scored:
                cells[column] = self._cell(row, column, scored)
        return cells

    def _cell(self, row: Row, column: Column, scored: Sequence[tuple[Run, Score]]) -> Cell:
        metric = f"{scored[0][1].metric},{scored[0][1].filter}"
        runs = [run for run, _ in scored]
        if row.role == "student" and len(runs) < len(row.runs):
            self._notes.append(f"{row.label}: {column.name} was scored in {len(runs)} of {len(row.runs)} seeds")
        score = self._estimate(row, column, scored, metric)
        seeds = tuple(run.seed for run in runs)
        cell = Cell(score, None, None, True, seeds, *(_tokens(runs, row, column, name) for name in (*COSTS, *THOUGHTS)))
        other = self._reference.of(row)
        if other is None:
            return cell
        pairs = self._pairs(row, other, column)
        if not pairs:
            self._notes.append(f"{row.label}: {column.name} was not scored for {other.label}; no difference")
            return cell
        after = [self._items(run, row, column) for run, _ in pairs]
        before = [self._items(run, other, column) for _, run in pairs]
        difference = self._paired(row, column, after, before, metric)
        if difference is not None or all(isinstance(one, Items) for one in (*after, *before)):
            return replace(cell, difference=difference)  # None: items differ, so no difference can be formed
        return replace(cell, difference=self._unpaired(row, other, column, pairs), paired=False)

    def _unpaired(self, row: Row, other: Row, column: Column, pairs: Sequence[tuple[Run, Run]]) -> Difference | None:
        """The difference from the scores alone; None if they have no standard errors."""
        sides = []
        for which, runs in ((row, [run for run, _ in pairs]), (other, [run for _, run in pairs])):
            found = [(run, score) for run in runs if (score := score_of(run, which, column, self._options.metric))]
            sides.append(_different(which, column, found))
        questions = min(score.n for side in sides for score in side)
        now, then = (([score.value for score in side], [score.stderr for score in side]) for side in sides)
        difference = unpaired_difference(now, then, questions)
        if difference is None:
            self._notes.append(f"{row.label}: {column.name} has neither samples nor standard errors; no difference")
        return difference

    def _paired(
        self, row: Row, column: Column, after: Sequence[Items | None], before: Sequence[Items | None], metric: str
    ) -> Difference | None:
        """The paired difference; None if samples are missing or no questions are shared."""
        different = {(id(one), id(other)): (one, other) for one, other in zip(after, before, strict=True)}
        after, before = zip(*different.values(), strict=True)  # for a prompting baseline seeds share both sides
        tables = [table for table in (*after, *before) if table is not None]
        if len(tables) < len(after) + len(before):
            return None
        values, groups = align(tables, metric)
        largest = max(len(table.ids) for table in tables)
        if len(set(groups)) < 2:
            self._notes.append(f"{row.label}: {column.name} has no items in common with the reference; no difference")
            return None
        if values.shape[1] < largest:
            self._notes.append(
                f"{row.label}: {column.name} is compared on the {values.shape[1]} shared questions, of {largest}"
            )
        after_values, before_values = values[: len(after)], values[len(after) :]
        return paired_difference(after_values, before_values, groups, interval=self._options.interval)

    def _estimate(self, row: Row, column: Column, scored: Sequence[tuple[Run, Score]], metric: str) -> Estimate:
        """The score with its interval; from the summaries alone if the mean over questions is not the reported
        score.
        """
        scores = _different(row, column, scored)
        reported = score_estimate([one.value for one in scores], [one.stderr for one in scores], scores[0].n)
        tables = [self._items(run, row, column) for run, _ in scored]
        if any(table is None for table in tables):
            return reported
        known = list({id(table): table for table in tables if table is not None}.values())  # seeds may share a base
        values, groups = align(known, metric)
        if len(set(groups)) < 2:
            return reported
        found = mean_estimate(values, groups)
        return found if abs(found.value - reported.value) < 1e-6 else reported

    def _pairs(self, row: Row, other: Row, column: Column) -> list[tuple[Run, Run]]:
        """Runs to pair: a run with its own base; with another configuration by seed, or in order if fewer than two
        seeds are shared (independent runs may be paired in any way).
        """
        mine = [run for run in row.runs if score_of(run, row, column, self._options.metric)]
        theirs = [run for run in other.runs if score_of(run, other, column, self._options.metric)]
        if other.role == "base":
            return [(run, run if run in theirs else theirs[0]) for run in mine if theirs]
        by_seed = {run.seed: run for run in theirs}
        shared = [(run, by_seed[run.seed]) for run in mine if run.seed in by_seed]
        count = min(len(mine), len(theirs))
        if len(shared) == count or len(shared) > 1:
            pairs, how = shared, "{0}, which both have"
        else:
            pairs, how = list(zip(mine, theirs, strict=False)), "{0} against {1}, as too few are shared"
        if pairs is not shared or len(pairs) < max(len(mine), len(theirs)):
            seeds = (", ".join(str(pair[side].seed) for pair in pairs) for side in (0, 1))
            self._notes.append(f"{row.label}: {column.name} is compared on seeds {how.format(*seeds)}")
        return pairs

    def _items(self, run: Run, row: Row, column: Column) -> Items | None:
        evaluation = evaluation_of(run, row, column)
        if evaluation is None:
            return None
        found = self._reader.items(run, evaluation, column.part)
        if isinstance(found, str):
            self._notes.append(found)
            return None
        return found


def _columns(runs: Sequence[Run], options: Options) -> tuple[Column, ...]:
    """Every (task, shots) that passes the filters, in the order of the runs."""
    there = dict.fromkeys(Column(score.task, score.shots) for run in runs for score in run.scores)
    for what, wanted, known in (
        ("--task", options.tasks, {column.task for column in there}),
        ("--shots", options.shots, {column.shots for column in there}),
    ):
        for one in wanted:
            if one not in known:
                raise UserError(f"{what} {one} was not scored; there are: {', '.join(map(str, sorted(known)))}")
    if options.metric is not None:
        metrics = sorted({f"{score.metric},{score.filter}" for run in runs for score in run.scores})
        if options.metric not in metrics:
            raise UserError(f"--metric {options.metric} was not reported; there are: {'; '.join(metrics)}")
    return tuple(
        column
        for column in there
        if (not options.tasks or column.task in options.tasks or (options.parts and column.whole in options.tasks))
        and (not options.shots or column.shots in options.shots)
        and (options.parts or not column.part or column.task in options.tasks)
    )


def _family(rows: Sequence[Row], parts: bool) -> list[tuple[Row, Column, Difference]]:
    """The differences that are corrected together: those of whole tasks, or those of parts."""
    return [
        (row, column, cell.difference)
        for row in rows
        for column, cell in row.cells.items()
        if cell.difference is not None and bool(column.part) == parts
    ]


def _corrected(rows: Sequence[Row], correction: Correction) -> list[Row]:
    """Corrects p-values and MDEs over all differences of a family."""
    for parts in (False, True):
        family = _family(rows, parts)
        count = 1 if correction == "none" else len(family)
        p_values = adjust([difference.p for _, _, difference in family], correction)
        for (row, column, difference), p in zip(family, p_values, strict=True):
            row.cells[column] = replace(row.cells[column], p=p, difference=difference.corrected_for(count))
    return list(rows)


def _different(row: Row, column: Column, scored: Sequence[tuple[Run, Score]]) -> list[Score]:
    """The scores, counting each evaluation once: all seeds share that of an untrained baseline."""
    found: dict[object, Score] = {}
    for run, score in scored:
        evaluation = evaluation_of(run, row, column)
        alone = run.folder if row.role == "student" else row.role
        found.setdefault(evaluation.key if evaluation else alone, score)
    return list(found.values())


def _tokens(runs: Sequence[Run], row: Row, column: Column, metric: str) -> float | None:
    """Mean tokens per question, over runs; None if no run has them."""
    found = [value for run in runs if (value := tokens_of(run, row, column, metric)) is not None]
    return sum(found) / len(found) if found else None
