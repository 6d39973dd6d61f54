"""Contamination check: do generated questions occur in the evaluation sets?

In: an artifact of Questions, the tasks of the suite. Out: an artifact of Questions (`drop`: without the hits; `report`:
all of them), with `hits.jsonl`: both texts of each hit. `crescent.contamination.overlap` defines what a hit is.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from crescent.contamination import Contamination, Off
from crescent.contamination.overlap import Item, find_hits
from crescent.core.context import ModelKeys, Stage, StageContext
from crescent.core.records import Hit, Question, decode_lines, encode
from crescent.core.store import Artifact, Key, Outcome
from crescent.evaluation.harness import plan
from crescent.evaluation.loading import item_texts
from crescent.evaluation.settings import EvaluationSettings
from crescent.evaluation.task_config import TaskSource

HITS = "hits.jsonl"


@dataclass(frozen=True, slots=True)
class Decontaminate(Stage):
    """Compares questions with every item that the suite scores."""

    NAME: ClassVar[str] = "decontaminate"
    VERSION: ClassVar[int] = 1

    settings: Contamination
    evaluation: EvaluationSettings

    def key(self, models: ModelKeys, *inputs: str) -> Key | None:
        """Depends on the questions and on what concerns the items; None if there is nothing to compare with."""
        if isinstance(self.settings, Off) or not self.evaluation.tasks:
            return None
        tasks = [source.items_key() for source in self._sources()]
        settings = {"check": self.settings, "limit": self.evaluation.limit, "tasks": tasks}
        return Key(self.NAME, self.VERSION, settings, (*inputs, models.embedder))

    def title(self, *inputs: object, **options: object) -> str:
        """Empty: continues under the heading of the questions."""
        return ""

    def run(self, context: StageContext, questions: Artifact) -> Artifact:
        """The questions that remain after the check."""
        check, sources = self.settings, self._sources()
        assert not isinstance(check, Off), "there is no key then"

        def build(work: Path) -> Outcome:
            asked = questions.read(Question)
            items = [
                Item(source.name, index, text)
                for source in sources
                for index, text in enumerate(item_texts(source, self.evaluation))
            ]
            texts = [item.text for item in items]
            vectors = context.embed([question.text for question in asked]), context.embed(texts)
            hits = find_hits(asked, items, *vectors, check.min_cosine, check.run_words)
            with open(work / HITS, "w", encoding="utf-8") as file:
                file.writelines(encode(hit) + "\n" for hit in hits)
            found = {hit.question_id for hit in hits}
            kept = [question for question in asked if not (check.drops and question.id in found)]
            by_task = dict(sorted(Counter(hit.task for hit in hits).items()))
            info = {"items": len(items), "hits": len(hits), "hits_by_task": by_task, "dropped": len(asked) - len(kept)}
            return Outcome(kept, info, {HITS: work / HITS})

        return context.store.build(context.key(self, questions), build)

    def _sources(self) -> list[TaskSource]:
        """The tasks whose items the questions are compared with, each once."""
        sources = {source.name: source for source, _ in plan(self.evaluation)}.values()
        return [one for one in sources if one.metadata.get("zero_shot_as") not in self.evaluation.tasks]


def read_hits(artifact: Artifact) -> list[Hit]:
    """The hits of an artifact; empty if nothing was compared."""
    if not (artifact.path / HITS).exists():
        return []
    with open(artifact.path / HITS, encoding="utf-8") as lines:
        return list(decode_lines(Hit, lines))
