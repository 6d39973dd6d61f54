"""The W&B run of an experiment: this file contains every name that is logged.

In: the composed configuration, and results as they are made. Out: a W&B run, online if the user is logged in, else
offline. A failing job still finishes its run, so that the next job of a sweep gets its own.

    stage/<stage>/{records,reused_records,tokens,new_tokens,seconds, and its counters}
    stage/diversify/thrown_away/<reason>       candidates that were not kept; the table "decisions" contains their texts
    train/{loss,learning_rate,grad_norm,...}   over train/step
    labels/{label_accuracy,...,calibration}    if an oracle knows the truth
    iteration/{diversity,valid,agreement,label_accuracy,score,...}; collapse, if a figure fell too far
    score/<model>/<task>/<shots>               the primary metric; others as .../<metric>,<filter>; a base model with a
                                               prompting baseline is base+<prompting>
    difference/<task>/<shots>                  student - base of the last iteration; .../stderr, low, high, and
                                               p_uncorrected (for this difference alone)
    report                                     report.html
    questions, decisions, contamination, votes, pairs, samples/<model>/<task>/<shots>
                                               tables, all with a question_id; the items of a group of tasks (MMLU's
                                               subjects) together under its name
    metrics                                    table of units and meanings (`metrics.py`)
    artifacts  <id of the W&B run>-pairs (dataset) -> <id>-adapter (model)
"""

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from crescent.core.context import StageOutput
from crescent.core.events import Events, Scored, StageReport
from crescent.core.store import Artifact, make_key
from crescent.observers.metrics import COLUMNS, define_metrics, metric_rows
from crescent.observers.wandb_tables import Table, samples_of, tables_of
from crescent.statistics.paired import Difference
from crescent.voting.calibration import Labels

log = logging.getLogger(__name__)
Mode = Literal["auto", "online", "offline"]


class Tracker(Events):
    """A subscriber that logs to a service. This base class, used by `tracking=none`, logs nothing. No method changes a
    result.
    """

    @property
    def place(self) -> str:
        """The location of the tracked run, for display."""
        return "none"

    def report(self, differences: Mapping[tuple[str, int], Difference], page: Path | None) -> None:
        """Logs the differences between student and base, and the report of the run."""


class Tracking(Protocol):
    """The `tracking` choice: where a run is logged."""

    def start(
        self, folder: Path, config: Mapping[str, Any], group: str, job: str
    ) -> AbstractContextManager[Tracker]: ...

    def resume(self, folder: Path, config: Mapping[str, Any], group: str, job: str) -> AbstractContextManager[Tracker]:
        """The tracked run of a finished run, for scores that are added to it."""
        ...


@dataclass(frozen=True, slots=True)
class NoTracking:
    """The settings of `tracking=none`."""

    name: str = "none"

    @contextmanager
    def start(self, folder: Path, config: Mapping[str, Any], group: str, job: str) -> Iterator[Tracker]:
        """Yields a tracker that does nothing."""
        yield Tracker()

    resume = start


@dataclass(frozen=True, slots=True)
class WandbTracking:
    """The settings of `tracking=wandb`. `max_table_rows` limits tables; the artifacts contain all rows."""

    name: str = "wandb"
    project: str = "crescent"
    entity: str | None = None
    mode: Mode = "auto"
    max_table_rows: int = 1000

    @contextmanager
    def start(self, folder: Path, config: Mapping[str, Any], group: str, job: str) -> Iterator[Tracker]:
        """One W&B run for one job, its files below `folder`. It is always finished: a failed job's run is marked as
        failed, a stopped one's as pre-empted.

        The id is derived from folder and configuration, so a job that a cluster requeues resumes its run if W&B is
        online. Offline runs cannot be resumed; the newest in a folder is the complete one.
        """
        with self.start_run(folder, config, group, job, "experiment") as run:
            yield WandbTracker(run, self.max_table_rows)

    @contextmanager
    def resume(self, folder: Path, config: Mapping[str, Any], group: str, job: str) -> Iterator[Tracker]:
        """The run of `start` for the same folder and configuration. Offline it is a second run folder with the same id:
        `wandb sync` uploads both as one run, in their order.
        """
        with self.start_run(folder, config, group, job, "experiment", resume=True) as run:
            yield WandbTracker(run, self.max_table_rows)

    @contextmanager
    def start_run(
        self, folder: Path, config: Mapping[str, Any], group: str, job: str, kind: str, resume: bool = False
    ) -> Iterator[Any]:
        """The W&B run itself, without a tracker."""
        os.environ["WANDB_DATA_DIR"] = os.environ["WANDB_CACHE_DIR"] = str(folder / "wandb")
        os.environ.setdefault("WANDB_SILENT", "true")
        import wandb

        (folder / "wandb").mkdir(parents=True, exist_ok=True)
        run_id, mode = make_key("run", 1, {"folder": str(folder), "config": config}), _mode(self.mode)
        run = wandb.init(
            project=self.project, entity=self.entity, dir=folder, group=group, name=job, job_type=kind,
            config=dict(config), mode=mode, id=run_id, resume="allow" if mode == "online" or resume else None,
            settings=wandb.Settings(console="off"),
        )  # fmt: skip
        code = 1
        try:
            yield run
            code = 0
        except SystemExit as stopped:
            code = stopped.code if isinstance(stopped.code, int) else 1
            run.mark_preempting()
            raise
        finally:
            run.finish(exit_code=code)


def _mode(mode: Mode) -> Literal["online", "offline"]:
    """Resolves auto: online only if the user is logged in and WANDB_MODE does not say otherwise."""
    if mode != "auto":
        return mode
    if os.environ.get("WANDB_MODE") in ("offline", "dryrun", "disabled"):
        return "offline"
    import wandb

    return "online" if wandb.login(prompt=False, verify=False) else "offline"


class WandbTracker(Tracker):
    """Logs to one W&B run."""

    def __init__(self, run: Any, max_table_rows: int) -> None:
        self._run, self._max_rows = run, max_table_rows
        self._collapse: dict[str, None] = {}
        define_metrics(run)
        self._log_table(Table("metrics", COLUMNS, metric_rows()))

    @property
    def place(self) -> str:
        """The URL; for an offline run its folder and the command that uploads it."""
        if self._run.offline:
            return f"{Path(self._run.dir).parent}  (upload: wandb sync {Path(self._run.dir).parent})"
        return str(self._run.url)

    def stage_finished(self, report: StageReport, made: StageOutput, inputs: Sequence[StageOutput]) -> None:
        """Logs a stage's counts, tokens, seconds, counters and tables; for training also the artifacts."""
        self._count(report)
        if isinstance(made, Artifact):
            for table in tables_of(made, self._max_rows):
                self._log_table(table)
            if report.stage == "finetune":
                self._adapter(report.iteration, made, next(one for one in inputs if isinstance(one, Artifact)))

    def _count(self, report: StageReport) -> None:
        values = {
            name: getattr(report, name) for name in ("records", "reused_records", "tokens", "new_tokens", "seconds")
        }
        numbers = {name: value for name, value in report.info.items() if isinstance(value, int | float)}
        logged = {f"stage/{report.stage}/{name}": value for name, value in {**numbers, **values}.items()}
        lost = report.info.get("thrown_away", {})
        logged |= {f"stage/{report.stage}/thrown_away/{reason}": found["count"] for reason, found in lost.items()}
        self._run.log({**logged, "iteration": report.iteration})
        self._run.summary.update(logged)
        for round_index, share in enumerate(report.info.get("acceptance_by_round", ())):
            self._run.log({"stage/diversify/acceptance": share, "stage/diversify/round": round_index})

    def training_step(self, metrics: Mapping[str, float], step: int, iteration: int) -> None:
        """Logs a step's metrics."""
        values = {f"train/{name}": value for name, value in metrics.items()}
        self._run.log({**values, "train/step": step, "iteration": iteration})

    def labels_measured(self, labels: Labels, iteration: int) -> None:
        """Logs label accuracy, and its curve over agreement."""
        import wandb

        logged = {f"labels/{name}": value for name, value in labels.info.items()}
        columns: list[Any] = ["agreement", "right", "questions"]
        table = wandb.Table(columns=columns, data=[[getattr(one, name) for name in columns] for one in labels.bins])
        title = "Calibration: agreement of the draws against the share of right labels"
        curve = wandb.plot.line(table, "agreement", "right", title=title)
        self._run.log({**logged, "labels/calibration": curve, "iteration": iteration})
        self._run.summary.update(logged)

    def iteration_measured(self, figures: Mapping[str, Any]) -> None:
        """Logs the figures of an iteration; signs of collapse, of all iterations, become one text in the run's
        summary.
        """
        numbers = {f"iteration/{name}": value for name, value in figures.items() if isinstance(value, int | float)}
        self._run.log({**numbers, "iteration": figures["iteration"]})
        signs = [f"iteration {figures['iteration']}: {line}" for line in figures["collapse"]]
        if signs:
            self._collapse.update(dict.fromkeys(signs))
            self._run.summary["collapse"] = "; ".join(self._collapse)

    def _adapter(self, iteration: int, adapter: Artifact, pairs: Artifact) -> None:
        """Logs the training data and the adapter as artifacts, with the data as the adapter's input."""
        about = {**pairs.info, "key": pairs.key, "iteration": iteration}
        dataset = self._log_artifact("pairs", "dataset", pairs.path, about)
        if not self._run.offline:
            self._run.use_artifact(dataset)  # impossible offline; there only the metadata record the lineage
        metadata = {**adapter.info, "key": adapter.key, "pairs_key": pairs.key, "iteration": iteration}
        self._log_artifact("adapter", "model", adapter.path, metadata)

    def scored(self, scored: Scored) -> None:
        """Logs the responses to each task's items, and scores as summary values, so that runs can be compared and
        grouped by them.
        """
        for artifact in scored.artifacts:
            table = samples_of(artifact, asked_as(scored.model, scored.prompting), self._max_rows)
            if table is not None:
                self._log_table(table)
        values = {}
        for score in scored.scores:
            name = f"score/{asked_as(score.model, score.prompting)}/{score.task}/{score.shots}"
            if score.primary:
                values[name], values[f"{name}/stderr"] = score.value, score.stderr
            else:
                values[f"{name}/{score.metric},{score.filter}"] = score.value
        self._run.log({**values, "iteration": scored.iteration})
        self._run.summary.update(values)

    def report(self, differences: Mapping[tuple[str, int], Difference], page: Path | None) -> None:
        """Logs differences as summary values, to compare and group runs by any setting, and the report as a page."""
        import wandb

        values: dict[str, Any] = {}
        for (task, shots), found in differences.items():
            name = f"difference/{task}/{shots}"
            errors = {f"{name}/{part}": getattr(found, part) for part in ("stderr", "low", "high")}
            values |= {name: found.value, **errors, f"{name}/p_uncorrected": found.p}
        self._run.summary.update(values)
        if page is not None:
            values["report"] = wandb.Html(page.read_text(encoding="utf-8"), inject=False)
        self._run.log(values)

    def _log_table(self, table: Table) -> None:
        import wandb

        self._run.log({table.name: wandb.Table(columns=list(table.columns), data=table.rows)})

    def _log_artifact(self, role: str, kind: str, folder: Path, metadata: Mapping[str, Any]) -> Any:
        import wandb

        artifact = wandb.Artifact(f"{self._run.id}-{role}", type=kind, metadata=dict(metadata))
        artifact.add_dir(str(folder))
        self._run.log_artifact(artifact)
        return artifact


def asked_as(model: str, prompting: str) -> str:
    """A model's name in logged names: base, or base+zero_shot_cot."""
    return model if prompting == "none" else f"{model}+{prompting}"
