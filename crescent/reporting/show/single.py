"""The report of a single run, made when it ends: its differences and its report.html.

In: the folder of a run whose summary is written. Out: a `RunReport`. An error here is logged in one line and loses
nothing: the run is complete, and `crescent-compare RUN --html FILE` draws the page again.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from crescent.core.console import Console
from crescent.reporting.analyse.results import Comparison, Options, compare
from crescent.reporting.read.runs import read
from crescent.reporting.show.page import write_page
from crescent.statistics.paired import Difference

log = logging.getLogger(__name__)
REPORT_FILE = "report.html"


@dataclass(frozen=True, slots=True)
class RunReport:
    """Student minus base by (task, shots), without prompting baseline; the page, None if it could not be drawn."""

    differences: Mapping[tuple[str, int], Difference] = field(default_factory=dict)
    page: Path | None = None


def report_run(folder: Path) -> RunReport:
    """Compares the run's models and draws its page."""
    differences: Mapping[tuple[str, int], Difference] = {}
    try:
        comparison = compare([read(folder)], Options(parts=True), Console(quiet=True))
        differences = student_differences(comparison)
        return RunReport(differences, write_page(comparison, folder / REPORT_FILE, Console(quiet=True)))
    except Exception as error:  # an error in drawing must not fail a run that is complete
        log.warning(
            "the report could not be drawn (%s: %s); crescent-compare %s --html FILE tries again",
            type(error).__name__, error, folder,
        )  # fmt: skip
        return RunReport(differences)


def student_differences(comparison: Comparison) -> dict[tuple[str, int], Difference]:
    """The student's differences without a prompting baseline."""
    rows = [row for row in comparison.students if row.prompting == "none"] or list(comparison.students)
    return {
        (column.task, column.shots): cell.difference
        for row in rows[:1]
        for column, cell in row.cells.items()
        if cell.difference is not None
    }
