"""What a run leaves for other tools: `summary.json` in its folder.

In: reports of stages and scores, as they are made. Out: the file, written anew after every stage, so that a run that is
cut off has said what it had. Its fields only grow.
"""

import json
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from crescent.core.records import Score
from crescent.core.store import Artifact, write_atomic

PACKAGES = ("crescent-lm", "torch", "transformers", "peft", "pytorch-lightning", "lm-eval", "hydra-core", "wandb")


@dataclass(slots=True)
class StageReport:
    """One stage of one iteration.

    `tokens` are what its records cost whichever run made them (generated; in training, target tokens), `new_tokens`
    those this run paid for. `reused_records` of the records were found in the store. `seconds` is this run's wall time.
    """

    stage: str
    iteration: int
    key: str = ""
    records: int = 0
    reused_records: int = 0
    tokens: int = 0
    new_tokens: int = 0
    seconds: float = 0.0
    info: Mapping[str, Any] = field(default_factory=dict)

    def fill(self, artifact: Artifact, tokens: int = 0, new_tokens: int | None = None) -> None:
        """The counts of one artifact."""
        self.key, self.records, self.info = artifact.key, artifact.records, artifact.info
        self.reused_records = artifact.records if artifact.reused else 0
        self.tokens = tokens
        self.new_tokens = (0 if artifact.reused else tokens) if new_tokens is None else new_tokens


@dataclass(slots=True)
class Summary:
    """Collects a run's results. `folder` None keeps them in memory only.

    `status` is running, finished, failed or stopped (asked to end); a run that was killed stays "running".
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
        """Writes how the run ended, whatever ends it."""
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

    @contextmanager
    def stage(self, name: str, iteration: int, seconds: float = 0.0) -> Iterator[StageReport]:
        """Times a stage, on top of `seconds`; the report is filled by the caller and kept when the stage ends well."""
        report = StageReport(name, iteration, seconds=seconds)
        start = time.monotonic()
        yield report
        report.seconds = round(report.seconds + time.monotonic() - start, 3)
        self.stages.append(report)
        self.write()

    def evaluated(self, artifacts: Sequence[Artifact], model: str, iteration: int, prompting: str = "none") -> None:
        """Says where the samples of scores are, so that runs can be compared question by question."""
        self.evaluations += [
            {
                "model": model,
                "iteration": iteration,
                "prompting": prompting,
                "task": artifact.info["task"],
                "shots": artifact.info["shots"],
                "key": artifact.key,
                "path": str(artifact.path),
            }
            for artifact in artifacts
        ]

    def write(self) -> None:
        """Puts what there is into summary.json."""
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


def git_commit() -> str | None:
    """The commit of the source tree that runs, with "-dirty" where files differ from it; None from a wheel."""
    folder = Path(__file__).parents[1]
    try:
        command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
