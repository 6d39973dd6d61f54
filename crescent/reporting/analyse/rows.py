"""The rows and columns of a comparison, before anything is compared.

In: runs. Out: a `Row` for each configuration (all its seeds) and each untrained baseline, a `Column` for each task and
number of shots, and the lookup of a run's scores for them. Computes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from crescent.core.records import Score
from crescent.evaluation.settings import MODELS
from crescent.reporting.analyse import axes as axis
from crescent.reporting.analyse.axes import Axes, Point
from crescent.reporting.read.runs import Evaluation, Run
from crescent.statistics.paired import Difference, Estimate

Role = Literal["teacher", "base", "student"]
ORDER = {"teacher": 0, "base": 1, "student": 2}


@dataclass(frozen=True, slots=True)
class Column:
    """One task, or a part of one ("gsm_plus_mini/digit expansion"), at one number of worked examples."""

    task: str
    shots: int

    @property
    def whole(self) -> str:
        """The task whose samples contain the items."""
        return self.task.partition("/")[0]

    @property
    def part(self) -> str:
        """The name of the part; "" for a whole task."""
        return self.task.partition("/")[2]

    @property
    def name(self) -> str:
        return f"{self.task}, {self.shots}-shot"


@dataclass(frozen=True, slots=True)
class Cell:
    """The score of a row in a column, and its difference to the reference.

    `p` is the corrected p-value. `paired` is False if questions could not be compared with themselves. `seeds` are
    those averaged over. Tokens are means over questions and seeds, None if nothing was generated; `thought_tokens` and
    `cut_at_limit` (the share of responses cut off) are also None if the model does not think.
    """

    score: Estimate
    difference: Difference | None = None
    p: float | None = None
    paired: bool = True
    seeds: tuple[int, ...] = ()
    prompt_tokens: float | None = None
    new_tokens: float | None = None
    thought_tokens: float | None = None
    cut_at_limit: float | None = None

    @property
    def stars(self) -> str:
        """One star for p < 0.05, two for 0.01, three for 0.001, after correction."""
        return "" if self.p is None else "*" * sum(self.p < bound for bound in (0.05, 0.01, 0.001))

    @property
    def too_small(self) -> bool:
        """True if the difference is smaller than the corrected MDE (80 % power)."""
        return self.difference is not None and abs(self.difference.value) < self.difference.detectable


@dataclass(frozen=True, slots=True)
class Row:
    """One configuration under one prompting: its runs (one per seed), and its scores."""

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
        """True for base or teacher: untrained, so it depends on no seed."""
        return self.role != "student"


def rows_of(axes: Axes, point: Point, group: Sequence[Run], notes: list[str]) -> list[Row]:
    """The models of one configuration: teacher and base, untrained, and the last student of each run that has one."""
    runs = one_for_each_seed(group, notes)
    if not any(run.scores for run in runs):  # a row is still needed to show its data and its training
        return [Row(axis.label(axes, point) or runs[0].experiment, point, "student", 1, "none", runs)]
    rows: list[Row] = []
    places = dict.fromkeys((score.model, score.prompting) for run in runs for score in run.scores)
    for model, prompting in sorted(places, key=lambda place: ORDER[place[0]]):
        role: Role = model  # type: ignore[assignment]
        scored = [run for run in runs if any((one.model, one.prompting) == (model, prompting) for one in run.scores)]
        whose = tuple(run for run in scored if role != "student" or run.has_its_student)
        if whose:
            name = axis.label(axes, point) or whose[0].experiment
            title = name if role == "student" else f"{role} ({weights_name(whose[0], role)})"
            title += "" if prompting == "none" else f", {prompting}"
            rows.append(Row(title, point, role, max(_iteration(run, role) for run in whose), prompting, whose))
    notes += [line for run in runs if (line := _shortfall(run))]
    return rows


def one_for_each_seed(group: Sequence[Run], notes: list[str]) -> tuple[Run, ...]:
    """Runs of one configuration, one per seed, in the order of `group`. Of two runs with the same seed, the one that
    has its student counts.

    If both or neither have it, their scores are merged, because they may be of different suites; the later run wins
    conflicts.
    """
    found: dict[int, Run] = {}
    for run in group:
        known = found.get(run.seed)
        if known is None or known.has_its_student == run.has_its_student:
            found[run.seed] = _together(known, run, notes) if known else run
            continue
        done, other = (known, run) if known.has_its_student else (run, known)
        notes.append(f"{other.folder} has no score of its student yet; {done.folder}, of the same seed, counts")
        found[run.seed] = done
    return tuple(found.values())


def _together(first: Run, then: Run, notes: list[str]) -> Run:
    """Both runs merged into `then`."""
    keys, new_keys = ({_place(one): one.key for one in run.evaluations} for run in (first, then))
    there = {_place(score) for score in then.scores}
    scores = tuple(score for score in first.scores if _place(score) not in there)
    both = f"{first.folder} and {then.folder} have one configuration and one seed"
    clash = sorted({f"{place[3]}, {place[4]}-shot" for place, key in keys.items() if new_keys.get(place, key) != key})
    if clash:
        notes.append(f"{both}, but their suites differ in {', '.join(clash)}: there the latter counts")
    notes.append(f"{both}; {'their scores are merged' if scores else 'the latter counts'}")
    evaluations = tuple(one for one in first.evaluations if _place(one) not in there)
    return replace(
        then, scores=(*scores, *then.scores), evaluations=(*evaluations, *then.evaluations),
        stores=tuple(dict.fromkeys((*then.stores, *first.stores))),
    )  # fmt: skip


def _shortfall(run: Run) -> str | None:
    """A note if a run did not complete all its iterations; None otherwise."""
    made, asked = run.last_iteration, run.asked_iterations
    ended = f" (status: {run.status})" if run.status else ""
    if "student" not in run.settings.get("eval.models", MODELS):
        return None
    if not run.has_its_student:
        which = f"the student of iteration {made + 1} of {asked}" if asked > 1 else "its student"
        return f"{run.folder} has no score of {which}{ended}; it is left out of the averages"
    if made < asked:
        return f"{run.folder} ended after iteration {made} of {asked}{ended}; the student of that iteration counts"
    return None


def dedupe_rows(rows: Sequence[Row]) -> list[Row]:
    """Puts untrained baselines first and merges those with the same evaluations."""
    found: dict[object, Row] = {}
    for row in rows:
        if row.is_model_as_found:
            keys = frozenset(
                one.key for one in row.runs[0].evaluations if (one.model, one.prompting) == (row.role, row.prompting)
            )
            found.setdefault((row.role, row.prompting, keys or row.label), row)
    return [*found.values(), *(row for row in rows if not row.is_model_as_found)]


def score_of(run: Run, row: Row, column: Column, metric: str | None, iteration: int | None = None) -> Score | None:
    """The run's score for the row and column: the primary score, or that of "metric,filter"; for a student of the last
    iteration unless one is given.
    """
    for score in _scores(run, row, column, _iteration(run, row.role) if iteration is None else iteration):
        if score.primary if metric is None else f"{score.metric},{score.filter}" == metric:
            return score
    return None


def tokens_of(run: Run, row: Row, column: Column, metric: str) -> float | None:
    """Mean tokens per question ("prompt_tokens", "new_tokens", "thought_tokens"), or the share "cut_at_limit"."""
    scores = _scores(run, row, column, _iteration(run, row.role))
    return next((score.value for score in scores if score.metric == metric), None)


def evaluation_of(run: Run, row: Row, column: Column, iteration: int | None = None) -> Evaluation | None:
    """The evaluation that has the samples behind that score: that of the whole task."""
    at = _iteration(run, row.role) if iteration is None else iteration
    wanted = (row.role, at, row.prompting, column.whole, column.shots)
    return next((one for one in run.evaluations if _place(one) == wanted), None)


def _scores(run: Run, row: Row, column: Column, iteration: int) -> list[Score]:
    wanted = (row.role, iteration, row.prompting, column.task, column.shots)
    return [score for score in run.scores if _place(score) == wanted]


def _iteration(run: Run, role: str) -> int:
    """The iteration of the scored model: the run's last for a student, 0 for an untrained baseline."""
    return run.last_iteration if role == "student" else 0


def _place(one: Score | Evaluation) -> tuple[str, int, str, str, int]:
    return one.model, one.iteration, one.prompting, one.task, one.shots


def weights_name(run: Run, role: str) -> str:
    """The configured name of the role's model."""
    key = "model.name" if role == "teacher" else "distill.student.name"
    return str(run.settings.get(key, "?"))
