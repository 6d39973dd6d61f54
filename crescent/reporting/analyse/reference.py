"""What the rows of a comparison are compared with.

In: the text of `--reference`, and the rows. Out: for each row the row that it is compared with, or None. Reads no
scores.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from crescent.core.errors import UserError
from crescent.reporting.analyse import axes as axis
from crescent.reporting.analyse.axes import Axes
from crescent.reporting.analyse.rows import Row

BASE = "base"
PROMPTING = "prompting="
PLAINLY = "none"


@dataclass(frozen=True, slots=True)
class Reference:
    """`row` is the configuration that all are compared with; None: each student's own base, with the prompting
    `asked`.
    """

    asked: str = PLAINLY
    row: Row | None = None

    @property
    def label(self) -> str:
        """What students are compared with."""
        if self.row is not None:
            return self.row.label
        under = "" if self.asked == PLAINLY else f", with {self.asked}"
        return f"each student's own base, before training{under}"

    @property
    def of_baselines(self) -> str:
        """What prompting baselines are compared with."""
        return "the same model with the plain prompt" if self.asked == PLAINLY else f"the same model with {self.asked}"

    def of(self, row: Row) -> Row | None:
        """The row that `row` is compared with; None for the reference itself and for rows without one."""
        if row.role == "teacher":
            return None
        if row.role == "student" and self.row is not None:
            return None if (row.point, row.prompting) == (self.row.point, self.row.prompting) else self.row
        if row.role == "student":
            prompting = row.prompting if self.asked == PLAINLY else self.asked
            return replace(row, role="base", iteration=0, label="base", prompting=prompting)
        if self.row is not None or row.prompting == self.asked:
            return None
        # a prompting baseline: compared with another prompting of the same model
        return replace(row, prompting=self.asked, label="the plain prompt" if self.asked == PLAINLY else self.asked)


def find(wanted: str, axes: Axes, rows: Sequence[Row]) -> Reference:
    """Parses "base", "prompting=NAME", or KEY=VALUE,... Raises UserError with the available choices."""
    if wanted == BASE:
        return Reference()
    if wanted.startswith(PROMPTING):
        asked = wanted.removeprefix(PROMPTING)
        there = sorted({row.prompting for row in rows if row.role == "base"})
        if asked not in there:
            raise UserError(f"--reference {wanted}: no base was scored with it; there are: {', '.join(there)}")
        return Reference(asked)
    students = {row.point: row for row in rows if row.role == "student" and row.prompting == rows[-1].prompting}
    return Reference(row=students[axis.parse_point(wanted, axes, list(students))])
