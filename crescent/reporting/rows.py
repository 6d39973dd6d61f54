"""The rows and columns of a comparison, before anything is compared.

In: runs. Out: a `Row` for each configuration (its seeds together) and for each model as found, a `Column` for each task
and number of shots, and the look-up of what a run says about them. Nothing is computed here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from crescent.evaluation.statistics import Difference, Estimate
from crescent.records import Score
from crescent.reporting import axes as axis
from crescent.reporting.axes import Axes, Point
from crescent.reporting.runs import Evaluation, Run

Role = Literal["teacher", "base", "student"]
ORDER = {"teacher": 0, "base": 1, "student": 2}


@dataclass(frozen=True, slots=True)
class Column:
    """One task at one number of worked examples."""

    task: str
    shots: int

    @property
    def name(self) -> str:
        return f"{self.task}, {self.shots}-shot"


@dataclass(frozen=True, slots=True)
class Cell:
    """The score of a row in a column, and what it gained over the reference.

    `p` is the corrected p-value. `paired` tells whether questions were compared with themselves.
    """

    score: Estimate
    difference: Difference | None = None
    p: float | None = None
    paired: bool = True

    @property
    def stars(self) -> str:
        """One for p < 0.05, two for 0.01, three for 0.001, after correction."""
        return "" if self.p is None else "*" * sum(self.p < bound for bound in (0.05, 0.01, 0.001))

    @property
    def too_small(self) -> bool:
        """Whether the difference is smaller than what such a comparison finds in four of five cases."""
        return self.difference is not None and abs(self.difference.value) < self.difference.detectable


@dataclass(frozen=True, slots=True)
class Row:
    """One configuration under one prompting: its runs (one a seed), and what was scored."""

    label: str
    point: Point
    role: Role
    iteration: int
    prompting: str
    runs: tuple[Run, ...]
    cells: dict[Column, Cell] = field(default_factory=dict)

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(run.seed for run in self.runs)

    @property
    def is_model_as_found(self) -> bool:
        """Base or teacher: nothing was trained, no seed decides it."""
        return self.role != "student"


def rows_of(axes: Axes, point: Point, group: Sequence[Run], notes: list[str]) -> list[Row]:
    """The models of one configuration: teacher and base as found, the student of the last iteration."""
    by_seed: dict[int, Run] = {}
    for run in group:
        if run.seed in by_seed:
            notes.append(
                f"{by_seed[run.seed].folder} and {run.folder} have one configuration and one seed; the latter counts"
            )
        by_seed[run.seed] = run
    runs = tuple(by_seed.values())
    name = axis.label(axes, point) or runs[0].experiment
    rows: dict[tuple[str, str], Row] = {}
    for score in (score for run in runs for score in run.scores):
        role: Role = score.model  # type: ignore[assignment]
        last = max(run.last_iteration for run in runs) if role == "student" else 0
        title = name if role == "student" else f"{role} ({weights_name(runs[0], role)})"
        title += "" if score.prompting == "none" else f", {score.prompting}"
        key = (role, score.prompting)
        rows.setdefault(key, Row(title, point, role, last, score.prompting, runs))
    if not rows:  # nothing was scored; its data and its training are still there to be seen
        return [Row(name, point, "student", max(1, runs[0].last_iteration), "none", runs)]
    return sorted(rows.values(), key=lambda row: ORDER[row.role])


def once(rows: Sequence[Row]) -> list[Row]:
    """Models as found come first, each once: rows that have the same evaluations are one."""
    found: dict[object, Row] = {}
    for row in rows:
        if row.is_model_as_found:
            keys = frozenset(
                one.key for one in row.runs[0].evaluations if (one.model, one.prompting) == (row.role, row.prompting)
            )
            found.setdefault((row.role, row.prompting, keys or row.label), row)
    return [*found.values(), *(row for row in rows if not row.is_model_as_found)]


def score_of(run: Run, row: Row, column: Column, metric: str | None) -> Score | None:
    """The run's score of the row in the column: its primary one, or that of "metric,filter"."""
    iteration = row.iteration if row.role == "student" else 0
    for score in run.scores:
        wanted = score.primary if metric is None else f"{score.metric},{score.filter}" == metric
        place = (score.model, score.iteration, score.prompting, score.task, score.shots)
        if wanted and place == (row.role, iteration, row.prompting, column.task, column.shots):
            return score
    return None


def evaluation_of(run: Run, row: Row, column: Column) -> Evaluation | None:
    """Where the run says that the samples behind that score are."""
    iteration = row.iteration if row.role == "student" else 0
    wanted = (row.role, iteration, row.prompting, column.task, column.shots)
    for one in run.evaluations:
        if (one.model, one.iteration, one.prompting, one.task, one.shots) == wanted:
            return one
    return None


def weights_name(run: Run, role: str) -> str:
    """What the configuration calls the model of that role."""
    key = "model.name" if role == "teacher" else "distill.student.name"
    return str(run.settings.get(key, "?"))
