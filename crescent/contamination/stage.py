"""Contamination check: are generated questions in the evaluation sets?

In: an artifact of Questions, the tasks of the suite. Out: an artifact of Questions (`drop`: without the hits; `report`:
all of them), with `hits.jsonl`: both texts of each hit. What a hit is, is decided in `crescent.contamination.overlap`.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from crescent.contamination import Contamination, Off
from crescent.contamination.overlap import Item, find_hits
from crescent.core.records import Hit, Question, decode_lines, encode
from crescent.core.store import Artifact, Outcome, Store
from crescent.evaluation.harness import plan
from crescent.evaluation.loading import item_texts
from crescent.evaluation.settings import EvaluationSettings

HITS = "hits.jsonl"


@dataclass(frozen=True, slots=True)
class Decontaminate:
    """Compares questions with every item that the suite scores."""

    NAME: ClassVar[str] = "decontaminate"
    VERSION: ClassVar[int] = 1

    settings: Contamination
    evaluation: EvaluationSettings

    def run(
        self, questions: Artifact, store: Store, embed: Callable[[Sequence[str]], np.ndarray], embedder_key: str
    ) -> Artifact:
        """The questions after the check; the artifact that came in where there is nothing to compare with."""
        if isinstance(self.settings, Off) or not self.evaluation.tasks:
            return questions
        check, sources = self.settings, list({source.name: source for source, _ in plan(self.evaluation)}.values())
        sources = [one for one in sources if one.metadata.get("zero_shot_as") not in self.evaluation.tasks]

        def build(work: Path) -> Outcome:
            asked = questions.read(Question)
            items = [
                Item(source.name, index, text)
                for source in sources
                for index, text in enumerate(item_texts(source, self.evaluation))
            ]
            texts = [item.text for item in items]
            vectors = embed([question.text for question in asked]), embed(texts)
            hits = find_hits(asked, items, *vectors, check.min_cosine, check.run_words)
            with open(work / HITS, "w", encoding="utf-8") as file:
                file.writelines(encode(hit) + "\n" for hit in hits)
            found = {hit.question_id for hit in hits}
            kept = [question for question in asked if not (check.drops and question.id in found)]
            by_task = dict(sorted(Counter(hit.task for hit in hits).items()))
            info = {"items": len(items), "hits": len(hits), "hits_by_task": by_task, "dropped": len(asked) - len(kept)}
            return Outcome(kept, info, {HITS: work / HITS})

        settings = {"check": check, "limit": self.evaluation.limit, "tasks": [source.items_key() for source in sources]}
        return store.build(self.NAME, self.VERSION, settings, [questions.key, embedder_key], build)


def read_hits(artifact: Artifact) -> list[Hit]:
    """The questions that a benchmark item resembles; none where nothing was compared."""
    if not (artifact.path / HITS).exists():
        return []
    with open(artifact.path / HITS, encoding="utf-8") as lines:
        return list(decode_lines(Hit, lines))
