"""Finds runs on disk and reads their summaries.

In: files and folders. Out: `Run`s, and a line for everything that cannot be used. Artifacts are looked for in a given
store, at the recorded path, and in the configured store relative to the current folder and to the run's parent folders,
so a moved store can be found. Reads no samples.
"""

import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from crescent.config.typed import build, convert
from crescent.core.errors import UserError
from crescent.core.records import Score
from crescent.voting.calibration import Bin

SUMMARY = "summary.json"
FINISHED = "finished"
T = TypeVar("T")
PASSED_BY = {"wandb", ".hydra", "artifacts", "ledgers", "work", "embeddings", "locks", ".git", ".venv"}


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The samples of one (model, iteration, prompting, task, shots): an artifact's key and folder."""

    model: str
    iteration: int
    prompting: str
    task: str
    shots: int
    key: str
    path: str


@dataclass(frozen=True, slots=True)
class Run:
    """One summary.json. `settings` is its configuration with dotted keys; `stores` are the roots to search for
    artifacts.

    `status` is how the run ended ("running" if it was killed), None in early versions. `iterations` are the figures of
    the collapse monitor, one entry per iteration.
    """

    folder: Path
    experiment: str
    seed: int
    settings: Mapping[str, Any]
    scores: tuple[Score, ...]
    evaluations: tuple[Evaluation, ...]
    stages: tuple[Mapping[str, Any], ...]
    labels: tuple[Mapping[str, Any], ...]
    git: str | None
    versions: Mapping[str, str]
    stores: tuple[Path, ...] = field(default=())
    status: str | None = FINISHED
    iterations: tuple[Mapping[str, Any], ...] = ()

    @property
    def last_iteration(self) -> int:
        """The last iteration whose student was scored; 0 if none was."""
        return max((score.iteration for score in self.scores if score.model == "student"), default=0)

    def weights(self, role: str) -> str:
        """Identifies the role's model (teacher or base) by the key of its engine; "" if unknown.

        The evaluate stages are in the same order as the scores. In self-improvement the teacher is the base.
        """
        keys = [str(stage["key"]) for stage in self.stages if stage["stage"] == "evaluate"]
        if not self.scores:
            return keys[0] if keys else ""
        order = list(dict.fromkeys((one.model, one.iteration, one.prompting) for one in self.scores))
        is_own = self.settings.get("model.path") == self.settings.get("distill.student.path")
        wanted = "base" if is_own and not any(one.model == "teacher" for one in self.scores) else role
        place = order.index((wanted, 0, "none")) if (wanted, 0, "none") in order else len(keys)
        return keys[place] if place < len(keys) else ""

    @property
    def last_trained(self) -> int:
        """The last iteration that was trained; 1 if none was."""
        return max((int(one["iteration"]) for one in self.stages if one["stage"] == "finetune"), default=1)

    @property
    def asked_iterations(self) -> int:
        """The configured number of iterations."""
        asked = self.settings.get("iterations")
        return asked if isinstance(asked, int) else 1

    @property
    def has_its_student(self) -> bool:
        """True if its final student is scored; a run that a collapse ended has made its final one."""
        return self.last_iteration >= (1 if self.status == FINISHED else self.asked_iterations)

    def stage(self, name: str, iteration: int | None = None) -> Mapping[str, Any] | None:
        """The report of a stage, from the last iteration unless one is given."""
        found = [one for one in self.stages if one["stage"] == name and iteration in (None, one["iteration"])]
        return found[-1] if found else None

    def info(self, stage: str, name: str) -> float | None:
        """A counter in a stage's last report; None if it is missing or not a number."""
        report = self.stage(stage)
        found = report["info"].get(name) if report else None
        return float(found) if isinstance(found, int | float) else None

    def artifact(self, stage: str, key: str) -> Path | None:
        """The folder of an artifact, in the first store that has it."""
        folders = (root / "artifacts" / stage / key for root in self.stores)
        return next((folder for folder in folders if (folder / "meta.json").is_file()), None)

    def stage_folder(self, name: str) -> Path | None:
        """The folder of the last artifact that a stage made."""
        report = self.stage(name)
        return self.artifact(name, str(report["key"])) if report else None


def find(paths: Sequence[Path]) -> tuple[list[Path], list[str]]:
    """The folders with a summary.json at or below `paths`, without duplicates, and a line for each path without any."""
    found: dict[Path, Path] = {}
    notes = []
    for path in paths:
        if not path.exists():
            notes.append(f"there is no file or folder {path}")
            continue
        here = list(_below(path.parent if path.name == SUMMARY else path))
        if not here:
            notes.append(f"{path} contains no {SUMMARY}; skipped")
        found.update({folder.resolve(): folder for folder in here if folder.resolve() not in found})
    return sorted(found.values(), key=lambda folder: _natural(folder)), notes


def read(folder: Path, store: Path | None = None) -> Run:
    """Reads one run. Raises UserError of one line if its summary is not valid."""
    path = folder / SUMMARY
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        scores, evaluations = _all(Score, raw, "scores"), _all(Evaluation, raw, "evaluations")
        for at, score in enumerate(scores):
            if not (math.isfinite(score.value) and math.isfinite(score.stderr)):
                raise UserError(f"scores[{at}].value is {score.value}, its stderr {score.stderr}; they must be finite")
        stages = tuple(_stage(row, head) for row, head in zip(raw["stages"], _all(_Stage, raw, "stages"), strict=True))
        labels = tuple(
            {**row, **asdict(head), "bins": [asdict(one) for one in _all(Bin, row, "bins", f"labels[{at}].")]}
            for at, (row, head) in enumerate(zip(raw.get("labels", ()), _all(_Labels, raw, "labels"), strict=True))
        )
        seed, name = convert(int, raw["seed"], "seed"), convert(str, raw["experiment"], "experiment")
        settings, versions = dict(flatten(raw.get("config", {}))), dict(raw.get("versions", {}))
        git, status = (convert(str | None, raw.get(key), key) for key in ("git", "status"))
        roots = _roots(folder, store, raw, evaluations)
        iterations = tuple(dict(one) for one in raw.get("iterations", ()))
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror})") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is not a valid summary of a run ({type(error).__name__}: {error})") from None
    return Run(
        folder, name, seed, settings, scores, evaluations, stages, labels, git, versions, roots, status, iterations
    )


def read_all(paths: Sequence[Path], store: Path | None = None) -> tuple[list[Run], list[str]]:
    """All runs with scores at or below `paths`, and a line for each run that cannot be compared.

    There is also a line for each path that does not exist or contains no run.
    """
    folders, notes = find(paths)
    runs = []
    for folder in folders:
        try:
            run = read(folder, store)
        except ValueError as error:
            notes.append(f"{error}; it is left out")
            continue
        if not run.scores:
            notes.append(f"{folder} has no scores (eval=none, or it did not get that far{_ended(run)}); it is left out")
            continue
        if not run.evaluations:
            notes.append(
                f"{folder} was written by a version that did not record where the samples are: its differences are "
                "unpaired. Run the same `crescent` command again: it reuses the store and records the paths."
            )
        runs.append(run)
    return runs, notes


def flatten(node: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Yields {"vote": {"draws": 3}} as ("vote.draws", 3). Lists stay whole."""
    for name, value in node.items():
        if isinstance(value, Mapping):
            yield from flatten(value, f"{path}{name}.")
        else:
            yield f"{path}{name}", _frozen(value)


@dataclass(frozen=True, slots=True)
class _Stage:
    """Fields of every stage's report; those with defaults are missing in early versions."""

    stage: str
    iteration: int
    records: int
    key: str = ""
    reused_records: int = 0
    tokens: int = 0
    new_tokens: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class _Labels:
    iteration: int
    labels_right: float


def _all(kind: type[T], raw: Mapping[str, Any], name: str, path: str = "") -> tuple[T, ...]:
    """The rows of a list, type-checked. Unknown fields are ignored: later versions only add fields."""
    known = {one.name for one in fields(kind)}  # type: ignore[arg-type]
    rows = raw[name] if name in ("scores", "stages", "bins") else raw.get(name, ())
    if not isinstance(rows, list | tuple) or not all(isinstance(row, Mapping) for row in rows):
        raise UserError(f"{path}{name} is not a list of groups")
    return tuple(
        build(kind, {key: value for key, value in row.items() if key in known}, f"{path}{name}[{at}]")
        for at, row in enumerate(rows)
    )


def _stage(row: Mapping[str, Any], head: _Stage) -> Mapping[str, Any]:
    info = row.get("info", {})
    if not isinstance(info, Mapping):
        raise UserError(f"info of the stage {head.stage} is {info!r}; it must be a group")
    return {**row, **asdict(head), "info": info}


def _ended(run: Run) -> str:
    return f"; its status is {run.status}" if run.status not in (None, FINISHED) else ""


def _frozen(value: Any) -> Any:
    """Lists become tuples, so that values are hashable."""
    if isinstance(value, Mapping):
        return tuple(flatten(value))
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def _below(root: Path) -> Iterator[Path]:
    for folder, names, files in os.walk(root):
        names[:] = sorted(name for name in names if name not in PASSED_BY)
        if SUMMARY in files:
            yield Path(folder)


def _roots(
    folder: Path, store: Path | None, raw: Mapping[str, Any], evaluations: Sequence[Evaluation]
) -> tuple[Path, ...]:
    """Roots to search for artifacts, most likely first: a given store, recorded paths, the configured store."""
    recorded = [Path(place) for place in (*(one.path for one in evaluations), *raw.get("artifacts", {}).values())]
    roots = [store] if store else []
    roots += [place.parents[2] for place in recorded if len(place.parents) > 2]
    configured = Path(str(raw.get("config", {}).get("store", "outputs/store")))
    roots += [base / configured for base in (Path.cwd(), *folder.resolve().parents)]
    return tuple(dict.fromkeys(roots))


def _natural(path: Path) -> list[tuple[int, str]]:
    """A sort key that puts 2 before 10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in path.parts]
