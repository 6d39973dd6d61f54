"""The W&B run of an experiment: every name that is logged stands in this file.

In: the composed configuration, and results as they are made. Out: a run, online where there is a login and offline
where not. A failing job still finishes its run, so that the next job of a sweep gets one of its own.

    stage/<stage>/{records,reused_records,tokens,new_tokens,seconds, and its counters}
    stage/diversify/thrown_away/<reason>       candidates that were not kept; the table "decisions" holds their texts
    train/{loss,learning_rate,grad_norm,...}   over train/step
    labels/{label_accuracy,...,calibration}    where an oracle knows the truth
    iteration/{diversity,valid,agreement,label_accuracy,score,...}; collapse, where a figure fell too far
    score/<model>/<task>/<shots>               the primary metric; others as .../<metric>,<filter>; a base model that
                                               is prompted as base+<prompting>
    difference/<task>/<shots>                      student - base of the last iteration; .../stderr, low, high, and
                                               p_uncorrected (of this difference alone)
    report                                         report.html
    questions, decisions, contamination, votes, samples/<model>/<task>/<shots>     tables; the items of a group of tasks
                                               (MMLU's subjects) together under its name
    artifacts  <name>-pairs (dataset) -> <name>-adapter (model)
"""

import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal, Protocol

from crescent.contamination.stage import read_hits
from crescent.core.records import Ballot, Decision, QAPair, Question, Record, Score, decode_lines
from crescent.core.store import Artifact, make_key
from crescent.dedup.stage import DECISIONS
from crescent.evaluation.stage import read_samples
from crescent.observers.summary import StageReport
from crescent.statistics.paired import Difference
from crescent.voting.calibration import Labels
from crescent.voting.stage import BALLOTS

log = logging.getLogger(__name__)
Curve = Callable[[Mapping[str, float], int], None]
Mode = Literal["auto", "online", "offline"]


class Tracker(Protocol):
    """What a run reports. Every method may be called at any time; none of them changes a result."""

    @property
    def place(self) -> str:
        """Where the tracked run is, for people."""
        ...

    def stage(self, report: StageReport) -> None: ...

    def curve(self, iteration: int) -> Curve: ...

    def data(self, iteration: int, questions: Artifact, checked: Artifact, pairs: Artifact) -> None: ...

    def labels(self, iteration: int, labels: Labels) -> None: ...

    def iteration(self, figures: Mapping[str, Any]) -> None: ...

    def adapter(self, iteration: int, adapter: Artifact) -> None: ...

    def samples(self, model: str, artifacts: Sequence[Artifact]) -> None: ...

    def scores(self, scores: Sequence[Score]) -> None: ...

    def report(self, differences: Mapping[tuple[str, int], Difference], page: Path | None) -> None: ...


class NoTracker:
    """`tracking=none`."""

    place = "none"

    def stage(self, report: StageReport) -> None:
        pass

    def curve(self, iteration: int) -> Curve:
        return lambda metrics, step: None

    def data(self, iteration: int, questions: Artifact, checked: Artifact, pairs: Artifact) -> None:
        pass

    def labels(self, iteration: int, labels: Labels) -> None:
        pass

    def iteration(self, figures: Mapping[str, Any]) -> None:
        pass

    def adapter(self, iteration: int, adapter: Artifact) -> None:
        pass

    def samples(self, model: str, artifacts: Sequence[Artifact]) -> None:
        pass

    def scores(self, scores: Sequence[Score]) -> None:
        pass

    def report(self, differences: Mapping[tuple[str, int], Difference], page: Path | None) -> None:
        pass


@dataclass(frozen=True, slots=True)
class NoTracking:
    """The settings of `tracking=none`."""

    name: str = "none"

    @contextmanager
    def start(self, folder: Path, config: Mapping[str, Any], group: str, job: str) -> Iterator[Tracker]:
        """A tracker that does nothing."""
        yield NoTracker()


@dataclass(frozen=True, slots=True)
class WandbTracking:
    """The settings of `tracking=wandb`. `max_table_rows` bounds tables; the artifacts hold all rows."""

    name: str = "wandb"
    project: str = "crescent"
    entity: str | None = None
    mode: Mode = "auto"
    max_table_rows: int = 1000

    @contextmanager
    def start(self, folder: Path, config: Mapping[str, Any], group: str, job: str) -> Iterator[Tracker]:
        """One W&B run for one job, its files below `folder`, finished whatever happens; a failure is marked as one, a
        run that was asked to end as pre-empted.

        The id is derived from folder and configuration: a job that a cluster queues again goes on with its run where
        W&B is online. Offline runs cannot be resumed; the newest of its folder is the whole one.
        """
        with self.start_run(folder, config, group, job, "experiment") as run:
            yield WandbTracker(run, self.max_table_rows)

    @contextmanager
    def start_run(self, folder: Path, config: Mapping[str, Any], group: str, job: str, kind: str) -> Iterator[Any]:
        """The W&B run itself."""
        os.environ["WANDB_DATA_DIR"] = os.environ["WANDB_CACHE_DIR"] = str(folder / "wandb")
        os.environ.setdefault("WANDB_SILENT", "true")
        import wandb

        (folder / "wandb").mkdir(parents=True, exist_ok=True)
        run_id, mode = make_key("run", 1, {"folder": str(folder), "config": config}), _mode(self.mode)
        run = wandb.init(
            project=self.project, entity=self.entity, dir=folder, group=group, name=job, job_type=kind,
            config=dict(config), mode=mode, id=run_id, resume="allow" if mode == "online" else None,
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
    """auto: online only where the user has logged in, and nothing else has been asked for in WANDB_MODE."""
    if mode != "auto":
        return mode
    if os.environ.get("WANDB_MODE") in ("offline", "dryrun", "disabled"):
        return "offline"
    import wandb

    return "online" if wandb.login(prompt=False, verify=False) else "offline"


class WandbTracker:
    """Logs to one W&B run."""

    def __init__(self, run: Any, max_table_rows: int) -> None:
        self._run, self._max_rows = run, max_table_rows
        self._pairs: Any = None
        self._collapse: dict[str, None] = {}
        run.define_metric("train/step")
        run.define_metric("train/*", step_metric="train/step")

    @property
    def place(self) -> str:
        """The URL, or for an offline run its folder and the command that uploads it."""
        if self._run.offline:
            return f"{Path(self._run.dir).parent}  (upload: wandb sync {Path(self._run.dir).parent})"
        return str(self._run.url)

    def stage(self, report: StageReport) -> None:
        """Counts, tokens and seconds of a stage, with its counters."""
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

    def curve(self, iteration: int) -> Curve:
        """Takes a training step's metrics."""

        def log_step(metrics: Mapping[str, float], step: int) -> None:
            values = {f"train/{name}": value for name, value in metrics.items()}
            self._run.log({**values, "train/step": step, "iteration": iteration})

        return log_step

    def data(self, iteration: int, questions: Artifact, checked: Artifact, pairs: Artifact) -> None:
        """Tables of questions, decisions, benchmark look-alikes and votes, and the data set as an artifact."""
        self._table("questions", _first(questions.path / "records.jsonl", Question, self._max_rows))
        self._table("decisions", _first(questions.path / DECISIONS, Decision, self._max_rows))
        self._table("contamination", read_hits(checked)[: self._max_rows])
        self._table("votes", _first(pairs.path / BALLOTS, Ballot, self._max_rows))
        self._table("pairs", _first(pairs.path / "records.jsonl", QAPair, self._max_rows))
        metadata = {"key": pairs.key, "questions": questions.key, "iteration": iteration, **pairs.info}
        self._pairs = self._log_artifact("pairs", "dataset", pairs.path, metadata)

    def labels(self, iteration: int, labels: Labels) -> None:
        """Label accuracy, and the curve of agreement against it, where an oracle knows the truth."""
        import wandb

        logged = {f"labels/{name}": value for name, value in labels.info.items()}
        columns: list[Any] = ["agreement", "right", "questions"]
        table = wandb.Table(columns=columns, data=[[getattr(one, name) for name in columns] for one in labels.bins])
        title = "Calibration: agreement of the draws against the share of right labels"
        curve = wandb.plot.line(table, "agreement", "right", title=title)
        self._run.log({**logged, "labels/calibration": curve, "iteration": iteration})
        self._run.summary.update(logged)

    def iteration(self, figures: Mapping[str, Any]) -> None:
        """A pass in figures; the signs of a collapse, of all passes, as one text of the summary."""
        numbers = {f"iteration/{name}": value for name, value in figures.items() if isinstance(value, int | float)}
        self._run.log({**numbers, "iteration": figures["iteration"]})
        signs = [f"iteration {figures['iteration']}: {line}" for line in figures["collapse"]]
        if signs:
            self._collapse.update(dict.fromkeys(signs))
            self._run.summary["collapse"] = "; ".join(self._collapse)

    def adapter(self, iteration: int, adapter: Artifact) -> None:
        """The adapter as an artifact that was made from the data set's."""
        if self._pairs is not None and not self._run.offline:
            self._run.use_artifact(self._pairs)  # offline W&B cannot: there the metadata tell the lineage
        made_from = getattr(self._pairs, "metadata", {}).get("key")
        metadata = {"key": adapter.key, "pairs": made_from, "iteration": iteration, **adapter.info}
        self._log_artifact("adapter", "model", adapter.path, metadata)

    def samples(self, model: str, artifacts: Sequence[Artifact]) -> None:
        """What the model said to each item of each task."""
        import wandb

        for artifact in artifacts:
            rows = list(islice(read_samples(artifact), self._max_rows))
            if not rows:
                continue
            metrics = sorted({name for row in rows for name in row["metrics"]})
            table = wandb.Table(columns=["task", "item", "fields", "response", "answers", "target", *metrics])
            for row in rows:
                values = (row["metrics"].get(metric) for metric in metrics)
                texts = (_text(row[name]) for name in ("doc", "response", "filtered", "target"))
                table.add_data(row["task"], row["doc_id"], *texts, *values)
            self._run.log({f"samples/{model}/{artifact.info['task']}/{artifact.info['shots']}": table})

    def scores(self, scores: Sequence[Score]) -> None:
        """Scores as summary values, so that runs are compared and grouped by them."""
        values = {}
        for score in scores:
            name = f"score/{asked_as(score.model, score.prompting)}/{score.task}/{score.shots}"
            if score.primary:
                values[name], values[f"{name}/stderr"] = score.value, score.stderr
            else:
                values[f"{name}/{score.metric},{score.filter}"] = score.value
        self._run.log(values)
        self._run.summary.update(values)

    def report(self, differences: Mapping[tuple[str, int], Difference], page: Path | None) -> None:
        """Differences as summary values, to be compared and grouped by any setting; the report as a page."""
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

    def _table(self, name: str, records: Sequence[Record]) -> None:
        import wandb

        if not records:
            return
        rows = [asdict(record) for record in records]
        table = wandb.Table(columns=list(rows[0]), data=[[_cell(value) for value in row.values()] for row in rows])
        self._run.log({name: table})

    def _log_artifact(self, role: str, kind: str, folder: Path, metadata: Mapping[str, Any]) -> Any:
        import wandb

        artifact = wandb.Artifact(f"{self._run.id}-{role}", type=kind, metadata=dict(metadata))
        artifact.add_dir(str(folder))
        self._run.log_artifact(artifact)
        return artifact


def _first(path: Path, kind: type[Any], count: int) -> list[Any]:
    """The first records of a file; none where the source of the pairs makes no such file."""
    if not path.exists():
        return []
    with open(path, encoding="utf-8") as lines:
        return list(islice(decode_lines(kind, lines), count))


def _cell(value: Any) -> Any:
    return ", ".join("-" if item is None else str(item) for item in value) if isinstance(value, list | tuple) else value


def asked_as(model: str, prompting: str) -> str:
    """The model in names: base, or base+zero_shot_cot."""
    return model if prompting == "none" else f"{model}+{prompting}"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
