"""A comparison in W&B: a run with its table, charts and page, and a W&B report over the compared runs.

In: a `Comparison`, and the page if it was written. Out: lines with its location, or offline the exact command that
uploads it. The report's specification needs no login; only `publish` talks to W&B. Project and entity are those of the
compared runs, unless others are given.
"""

import shlex
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from crescent.core.errors import UserError
from crescent.observers.tracking import WandbTracking
from crescent.reporting.analyse import axes as axis
from crescent.reporting.analyse.results import Comparison
from crescent.reporting.analyse.rows import Column
from crescent.reporting.show.tables import markdown, records, stars_legend

TITLE = "Crescent: {names}"
FOLDER = "comparison"
"""A folder next to the page, so that W&B's files of a comparison are not taken for those of the run in whose folder the
page is.
"""
UNTRACKED = (
    "--wandb: none of these runs is tracked in W&B (tracking=none, or their wandb folders are gone), so a report over "
    "them would show every run of the project; leave --wandb out"
)
INSTALL = "the W&B report needs wandb-workspaces: pip install 'crescent-lm[report]'"


def publish(
    comparison: Comparison, page: Path | None, project: str | None, entity: str | None, folder: Path
) -> list[str]:
    """Logs the comparison below `folder`; makes the report if the user is logged in.

    Raises UserError if no run is tracked, or if runs are in several projects and none is given.
    """
    project, entity = project or _the(comparison, "project"), entity or _the(comparison, "entity")
    if project is None or not run_filter(comparison):
        raise UserError(UNTRACKED)
    import wandb

    folder = folder / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    tracking = WandbTracking(project=project, entity=entity)
    config = {"axes": list(comparison.axes), "reference": comparison.reference.label}
    config["runs"] = [str(run.folder) for run in comparison.runs]
    with tracking.start_run(folder, config, group="comparisons", job=_names(comparison), kind="comparison") as run:
        run.log(_logged(comparison, page, wandb))
        offline, place, entity = bool(run.offline), run.url, run.entity
        directory = Path(run.dir).parent
    if offline:
        pending = [directory, *(one for run in comparison.runs for one in offline_folders(run.folder))]
        return [
            "offline: log in (wandb login), upload with the next line, then run the same command again for the report",
            shlex.join(["wandb", "sync", *map(str, pending)]),
        ]
    lines = [f"W&B run of the comparison: {place}"]
    try:
        report = specification(comparison, project, str(entity))
    except ImportError:
        return [*lines, INSTALL]
    report.save()
    return [*lines, f"W&B report: {report.url}"]


def specification(comparison: Comparison, project: str, entity: str) -> Any:
    """The report: the table, bars by axis for each task, the runs. Needs wandb-workspaces, but no login."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it uses functions that its own dependency has deprecated
        from wandb_workspaces.reports import v2

        reports: Any = v2  # it exports more than it declares
        blocks: list[Any] = [
            reports.TableOfContents(),
            reports.H1("Results"),
            reports.MarkdownBlock(text=markdown(comparison)),
        ]
        for name in comparison.axes:
            panels = [_bars(reports, column, name) for column in comparison.columns]
            runset = reports.Runset(name="compared runs", filters=run_filter(comparison), groupby=[f"config.{name}"])
            blocks += [
                reports.H1(f"By {axis.short(name)}"),
                reports.PanelGrid(runsets=[runset], panels=panels),
            ]
        runset = reports.Runset(name="compared runs", filters=run_filter(comparison))
        curves = [
            reports.LinePlot(x="train/step", y=["train/loss"], title="Training loss, nats per target token"),
            reports.BarPlot(metrics=[reports.SummaryMetric("stage/vote/pairs")], title="Training pairs"),
            reports.RunComparer(diff_only="split"),
        ]
        blocks += [reports.H1("Training and data"), reports.PanelGrid(runsets=[runset], panels=curves)]
        return reports.Report(
            project=project, entity=entity, title=TITLE.format(names=_names(comparison))[:128],
            description=f"{len(comparison.runs)} runs. {stars_legend(comparison)}", blocks=blocks, width="fluid",
        )  # fmt: skip


def run_filter(comparison: Comparison) -> str:
    """A filter for the W&B runs of the comparison, by id. Empty if none is tracked; W&B would read that as every
    run.
    """
    ids = [one for run in comparison.runs if (one := run_id(run.folder)) is not None]
    return f"ID in [{', '.join(repr(one) for one in ids)}]" if ids else ""


def _the(comparison: Comparison, setting: str) -> str | None:
    """The project or entity of all tracked runs. Raises UserError if they differ."""
    tracked = [run for run in comparison.runs if run_id(run.folder) is not None]
    found = sorted({str(run.settings.get(f"tracking.{setting}") or "") for run in tracked} - {""})
    if len(found) > 1:
        several = f"--wandb: the runs are in several W&B {setting}s ({', '.join(found)})"
        raise UserError(f"{several}; compare those of one, or choose one with --{setting}")
    return found[0] if found else None


def run_id(folder: Path) -> str | None:
    """The id of the W&B run in a run's folder, from the name of its folder: run-20260101_120000-ID."""
    found = sorted((folder / "wandb").glob("*run-*-*"), key=lambda path: path.name)
    return found[-1].name.rpartition("-")[2] if found else None


def offline_folders(folder: Path) -> list[Path]:
    """A run's W&B folders that are not uploaded yet."""
    return sorted((folder / "wandb").glob("offline-run-*"))


def _logged(comparison: Comparison, page: Path | None, wandb: Any) -> Mapping[str, Any]:
    """The table, one bar chart per task, and the page."""
    rows = [{**row, "seeds": " ".join(map(str, row["seeds"]))} for row in records(comparison)]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    logged: dict[str, Any] = {
        "comparison": wandb.Table(columns=columns, data=[[row.get(name) for name in columns] for row in rows])
    }
    for column in comparison.columns:
        bars = [[row.label, row.cells[column].score.value] for row in comparison.rows if column in row.cells]
        table = wandb.Table(columns=["row", "score"], data=bars)
        logged[f"comparison/{column.task}/{column.shots}"] = wandb.plot.bar(table, "row", "score", title=column.name)
    if page is not None:
        logged["report"] = wandb.Html(page.read_text(encoding="utf-8"), inject=False)
    return logged


def _bars(reports: Any, column: Column, name: str) -> Any:
    return reports.BarPlot(
        title=f"{column.name}: student, by {axis.short(name)}",
        metrics=[reports.SummaryMetric(f"score/student/{column.task}/{column.shots}")],
        orientation="v",
        groupby=reports.Config(name),
        groupby_aggfunc="mean",
        groupby_rangefunc="stderr",
        title_y="score, mean and standard error over runs",
    )


def _names(comparison: Comparison) -> str:
    names: Sequence[str] = list(dict.fromkeys(run.experiment for run in comparison.runs))
    return ", ".join(names)
