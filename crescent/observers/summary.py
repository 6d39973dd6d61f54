"""`summary.json` in the run folder: results of a run for other tools.

In: the events of a run. Out: the file, rewritten after every stage, so a killed run leaves what it had. Fields may be
added to it but are never removed.
"""

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from crescent.core.context import StageOutput
from crescent.core.events import Events, Scored, StageReport
from crescent.core.records import Score
from crescent.core.stages import stage_info
from crescent.core.store import Artifact, write_atomic
from crescent.voting.calibration import Labels

PACKAGES = ("crescent-lm", "torch", "transformers", "peft", "pytorch-lightning", "lm-eval", "hydra-core", "wandb")


@dataclass(slots=True)
class Summary(Events):
    """Collects a run's results from its events. `folder` None keeps them in memory only.

    `status` is running, finished, failed or stopped (by a signal); a run that was killed stays "running".
    """

    experiment: str
    seed: int
    overrides: list[str]
    config: Mapping[str, Any] = field(default_factory=dict)
    folder: Path | None = None
    scores: list[Score] = field(default_factory=list)
    evaluations: list[dict[str, Any]] = field(default_factory=list)
    stages: list[StageReport] = field(default_factory=list)
    labels: list[dict[str, Any]] = field(default_factory=list)
    iterations: list[dict[str, Any]] = field(default_factory=list)
    artifacts: dict[str, str] = field(default_factory=dict)
    status: str = "running"

    @contextmanager
    def ends(self) -> Iterator[None]:
        """Writes how the run ended, whatever the reason."""
        try:
            yield
            self.status = "finished"
        except Exception:
            self.status = "failed"
            raise
        except (SystemExit, KeyboardInterrupt):
            self.status = "stopped"
            raise
        finally:
            self.write()

    def stage_finished(self, report: StageReport, made: StageOutput, inputs: Sequence[StageOutput]) -> None:
        """Adds the report, and the artifact's path if `StageInfo.yields` names it."""
        self.stages.append(report)
        yields = stage_info(report.stage).yields
        if yields is not None and isinstance(made, Artifact):
            self.artifacts[yields] = str(made.path)
        if report.stage == "finetune":
            self.artifacts["pairs"] = str(next(one.path for one in inputs if isinstance(one, Artifact)))
        self.write()

    def scored(self, scored: Scored) -> None:
        """Adds the scores and the paths of their samples, so that runs can be compared question by question."""
        self.scores += scored.scores
        about = {"model": scored.model, "iteration": scored.iteration, "prompting": scored.prompting}
        self.evaluations += [
            {
                **about,
                "task": artifact.info["task"],
                "shots": artifact.info["shots"],
                "key": artifact.key,
                "path": str(artifact.path),
            }
            for artifact in scored.artifacts
        ]

    def labels_measured(self, labels: Labels, iteration: int) -> None:
        """Adds the accuracy of the labels."""
        self.labels.append({"iteration": iteration, **asdict(labels)})

    def iteration_measured(self, figures: Mapping[str, Any]) -> None:
        """Adds the figures of an iteration; they replace those from before it was scored."""
        kept = [row for row in self.iterations if row["iteration"] != figures["iteration"]]
        self.iterations = [*kept, dict(figures)]
        self.write()

    def write(self) -> None:
        """Writes the current state to summary.json."""
        if self.folder is not None:
            write_atomic(self.folder / "summary.json", json.dumps(self.as_json(), indent=1, ensure_ascii=False) + "\n")

    def as_json(self) -> dict[str, Any]:
        """The content of summary.json."""
        return {
            "experiment": self.experiment,
            "status": self.status,
            "overrides": self.overrides,
            "seed": self.seed,
            "config": self.config,
            "scores": [asdict(score) for score in self.scores],
            "evaluations": self.evaluations,
            "stages": [asdict(stage) for stage in self.stages],
            "labels": self.labels,
            "iterations": self.iterations,
            "artifacts": self.artifacts,
            "git": git_commit(),
            "versions": {name: version(name) for name in PACKAGES},
        }


class LaterScores(Events):
    """Adds scores to the summary of a finished run, in place of earlier ones of the same (model, iteration, prompting,
    task, shots). `settings` say how they were made. All other fields stay as they are.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        self._file = folder / "summary.json"
        self._about = {**settings, "git": git_commit(), "versions": {name: version(name) for name in PACKAGES}}

    def scored(self, scored: Scored) -> None:
        """Reads the summary again, because another process may have added to it, and writes it with the scores."""
        content = json.loads(self._file.read_text(encoding="utf-8"))
        made = Summary("", 0, [])
        made.scored(scored)
        new = {"scores": [asdict(score) for score in made.scores], "evaluations": made.evaluations}
        places = {_place(one) for one in new["evaluations"]}
        for name, rows in new.items():
            content[name] = [one for one in content.get(name, ()) if _place(one) not in places] + rows
        later = content.setdefault("later_evaluations", [])
        if self._about not in later:
            later.append(self._about)
        write_atomic(self._file, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def _place(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """What a score is a score of; the parts of a task ("gsm_plus_mini/digit expansion") belong to it."""
    return row["model"], row["iteration"], row["prompting"], row["task"].partition("/")[0], row["shots"]


def git_commit() -> str | None:
    """The commit of the running source tree, with "-dirty" if files differ from it; None in a wheel."""
    folder = Path(__file__).parents[1]
    try:
        command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
