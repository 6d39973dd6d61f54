"""A run on disk with what an export needs of it: its pairs, its votes, its student.

In: the folder of a run. Out: a `FinishedRun`. Artifacts are found also if the store was moved. Changes nothing.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from crescent.answers.thoughts import without_thoughts
from crescent.core.errors import UserError
from crescent.core.records import BALLOTS, Ballot, QAPair, decode_lines
from crescent.core.store import META, RECORDS
from crescent.engines.weights import Weights
from crescent.reporting.read.runs import SUMMARY, Run, read
from crescent.training.methods import ADAPTER, MODEL

_ASKED = ("name", "path", "dtype", "revision", "template", "gguf_file", "date_string", "chat_template_kwargs")


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """`config` is the composed configuration, `artifacts` the recorded folders by name."""

    run: Run
    config: Mapping[str, Any]
    artifacts: Mapping[str, str]

    @property
    def folder(self) -> Path:
        return self.run.folder

    def pairs(self) -> list[QAPair]:
        """The pairs that the student was trained on, with the responses that it learned: without thoughts unless
        train.reasoning is keep."""
        folder = self.artifact("pairs", f"{self.folder} has no pairs yet: let it get as far as the vote, then export")
        with open(folder / RECORDS, encoding="utf-8") as lines:
            pairs = list(decode_lines(QAPair, lines))
        if not pairs:
            raise UserError(f"{self.folder} has no pairs: no question reached an answer that enough draws agree on")
        return [replace(pair, response=self.learned(pair.response)) for pair in pairs]

    def learned(self, response: str) -> str:
        """A response as a training target."""
        keeps = self.config.get("train", {}).get("reasoning") == "keep"
        return response if keeps else without_thoughts(response).strip()

    @property
    def was_voted(self) -> bool:
        """True if a vote rule chose the pairs, and not a known answer or the user's file."""
        folder = self.run.stage_folder("vote")
        return folder is not None and _meta(folder)["settings"].get("class") == "Vote"

    def votes(self) -> Iterator[tuple[list[Ballot], str]]:
        """The ballots of each iteration, first to last, with the key of the ledger that has their draws. Pairs without
        a vote (source=pairs, source=seed_gold) have none."""
        for report in self.run.stages:
            if report["stage"] != "vote" or (folder := self.run.artifact("vote", str(report["key"]))) is None:
                continue
            inputs = _meta(folder)["inputs"]
            ledger = str(inputs[-1]).partition("/")[0]
            if (folder / BALLOTS).exists() and len(inputs) > 1 and ledger != "none":
                with open(folder / BALLOTS, encoding="utf-8") as lines:
                    yield list(decode_lines(Ballot, lines)), ledger

    def ledger(self, key: str) -> Path:
        """The folder of a ledger. Raises UserError if no store has it."""
        for root in self.run.stores:
            if (root / "ledgers" / key).is_dir():
                return root / "ledgers" / key
        raise UserError(f"the draws of {self.folder} (ledger {key}) are in no store; give the store's folder: --store")

    def base(self) -> Weights:
        """The student before training."""
        node = self.config["distill"]["student"]
        return Weights(**{key: node[key] for key in _ASKED if key in node})

    def teacher(self) -> Weights:
        """The model that wrote the pairs."""
        node = self.config.get("model") or self.config["distill"]["student"]
        return Weights(**{key: node[key] for key in _ASKED if key in node})

    def student(self) -> Weights:
        """The weights that the run trained: the base with its adapter, or after full fine-tuning the whole model."""
        folder = self.artifact(ADAPTER, f"{self.folder} has trained nothing yet: let it finish, then export")
        if (folder / MODEL).is_dir():
            return self.base().in_folder(folder / MODEL)
        if not (folder / ADAPTER).is_dir():
            raise UserError(
                f"the adapter of {self.folder} is not at {folder}: run the same command again to rebuild it"
            )
        return self.base().with_adapter(folder / ADAPTER, folder.name)

    def artifact(self, name: str, missing: str) -> Path:
        """The folder of an artifact. Raises UserError with `missing` if the run has not made it, or if no store has
        it."""
        recorded = self.artifacts.get(name)
        if recorded is None:
            raise UserError(missing)
        place = Path(recorded)
        stage, key = place.parts[-2:]
        found = place if place.is_dir() else self.run.artifact(stage, key)
        if found is None:
            raise UserError(
                f"the {name} of {self.folder} is not at {place}: if the store was moved, give its folder (--store); "
                "else run the same command again to rebuild it"
            )
        return found


def _meta(folder: Path) -> dict[str, Any]:
    return json.loads((folder / META).read_text(encoding="utf-8"))


def open_run(folder: Path, store: Path | None = None) -> FinishedRun:
    """Reads a run. Raises UserError if the folder is not one."""
    folder = folder.parent if folder.name == SUMMARY else folder
    if not (folder / SUMMARY).exists():
        raise UserError(f"{folder} has no {SUMMARY}: give the folder of a finished run, such as outputs/latest")
    run = read(folder, store)
    raw = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
    return FinishedRun(run, raw.get("config", {}), raw.get("artifacts", {}))
