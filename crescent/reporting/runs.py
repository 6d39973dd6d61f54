"""Finds runs on disk and reads their summaries.

In: files and folders. Out: `Run`s, and one line for each thing that cannot be used. A store that was moved is looked
for again: where the summary says, in a folder that is given, and beside the run. It reads no samples.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from crescent.records import Score

SUMMARY = "summary.json"
PASSED_BY = {"wandb", ".hydra", "artifacts", "ledgers", "work", "embeddings", "locks", ".git", ".venv"}


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Where the samples of one (model, iteration, prompting, task, shots) are: an artifact's key, and its folder."""

    model: str
    iteration: int
    prompting: str
    task: str
    shots: int
    key: str
    path: str


@dataclass(frozen=True, slots=True)
class Run:
    """One summary.json. `settings` is its configuration with dotted keys; `stores` are roots to look for artifacts."""

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

    @property
    def last_iteration(self) -> int:
        """The last pass of self-improvement whose student was scored."""
        return max((score.iteration for score in self.scores), default=0)

    def stage(self, name: str, iteration: int | None = None) -> Mapping[str, Any] | None:
        """The report of a stage, of the last iteration unless one is named."""
        found = [one for one in self.stages if one["stage"] == name and iteration in (None, one["iteration"])]
        return found[-1] if found else None

    def artifact(self, stage: str, key: str) -> Path | None:
        """The folder of an artifact, in the first store that has it."""
        folders = (root / "artifacts" / stage / key for root in self.stores)
        return next((folder for folder in folders if (folder / "meta.json").is_file()), None)

    def stage_folder(self, name: str) -> Path | None:
        """The folder of the last artifact that a stage made."""
        report = self.stage(name)
        return self.artifact(name, str(report["key"])) if report else None


def find(paths: Sequence[Path]) -> list[Path]:
    """The folders with a summary.json at or below `paths`, each once. Raises ValueError for a path without any."""
    found: dict[Path, Path] = {}
    for path in paths:
        if not path.exists():
            raise ValueError(f"there is no file or folder {path}; give run folders, or a folder such as outputs/")
        here = list(_below(path.parent if path.name == SUMMARY else path))
        if not here:
            raise ValueError(f"{path} holds no {SUMMARY}; give run folders, or a folder such as outputs/ or multirun/")
        found.update({folder.resolve(): folder for folder in here if folder.resolve() not in found})
    return sorted(found.values(), key=lambda folder: _natural(folder))


def read(folder: Path, store: Path | None = None) -> Run:
    """One run. Raises ValueError of one line if its summary is not what a run writes."""
    path = folder / SUMMARY
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        scores = tuple(Score(**_known(Score, row)) for row in raw["scores"])
        evaluations = tuple(Evaluation(**_known(Evaluation, row)) for row in raw.get("evaluations", ()))
        stages = tuple({"tokens": 0, "new_tokens": 0, "seconds": 0.0, "info": {}, **stage} for stage in raw["stages"])
        seed, name, settings = int(raw["seed"]), str(raw["experiment"]), dict(flatten(raw.get("config", {})))
        versions, labels = dict(raw.get("versions", {})), tuple(raw.get("labels", ()))
        roots = _roots(folder, store, raw, evaluations)
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror})") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is no summary of a run ({type(error).__name__}: {error})") from None
    return Run(folder, name, seed, settings, scores, evaluations, stages, labels, raw.get("git"), versions, roots)


def read_all(paths: Sequence[Path], store: Path | None = None) -> tuple[list[Run], list[str]]:
    """All runs with scores at or below `paths`, and a line for each that cannot be compared.

    Raises ValueError for a path that does not exist or holds no run.
    """
    runs, notes = [], []
    for folder in find(paths):
        try:
            run = read(folder, store)
        except ValueError as error:
            notes.append(f"{error}; it is left out")
            continue
        if not run.scores:
            notes.append(f"{folder} has no scores (eval=none, or it did not get that far); it is left out")
            continue
        if not run.evaluations:
            notes.append(
                f"{folder} was written by a version that did not say where the samples are: its differences are "
                "unpaired. The same `crescent` command again takes everything from the store and says it."
            )
        runs.append(run)
    return runs, notes


def flatten(node: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """{"vote": {"draws": 3}} as ("vote.draws", 3). Lists stay whole."""
    for name, value in node.items():
        if isinstance(value, Mapping):
            yield from flatten(value, f"{path}{name}.")
        else:
            yield f"{path}{name}", tuple(value) if isinstance(value, list) else value


def _known(kind: type, row: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that `kind` has: a summary's fields only grow, so a later version's are passed over."""
    return {one.name: row[one.name] for one in fields(kind)}


def _below(root: Path) -> Iterator[Path]:
    for folder, names, files in os.walk(root):
        names[:] = sorted(name for name in names if name not in PASSED_BY)
        if SUMMARY in files:
            yield Path(folder)


def _roots(
    folder: Path, store: Path | None, raw: Mapping[str, Any], evaluations: Sequence[Evaluation]
) -> tuple[Path, ...]:
    """Where artifacts may be, likeliest first: a given store, the recorded place, the configured one from here up."""
    recorded = [Path(place) for place in (*(one.path for one in evaluations), *raw.get("artifacts", {}).values())]
    roots = [store] if store else []
    roots += [place.parents[2] for place in recorded if len(place.parents) > 2]
    configured = Path(str(raw.get("config", {}).get("store", "outputs/store")))
    roots += [base / configured for base in (Path.cwd(), *folder.resolve().parents)]
    return tuple(dict.fromkeys(roots))


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sorts 2 before 10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in path.parts]
