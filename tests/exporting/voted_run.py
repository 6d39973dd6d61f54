"""A run on disk whose answers are written here: stages, store and summary are the real ones, only the model is not."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from configured import composed
from stage_context import stage_context

from crescent.core.records import Question, text_id
from crescent.core.store import Artifact, Key, Outcome, Store
from crescent.engines import Completion, Finished, LazyEngine, Prompt, Sampling
from crescent.observers.summary import Summary
from crescent.voting import Majority
from crescent.voting.answer_stage import Answer
from crescent.voting.stage import Vote

ANSWERS: Mapping[str, Sequence[str]] = {
    "What is 3 + 4?": ("3 + 4 = 7\n#### 7", "I say\n#### 8", "It is\n#### 7"),
    "What is 2 + 2?": ("2 + 2 = 4\n#### 4",) * 3,
    "Wie viel kostet ein Café für 5 €?": ("<think>hm</think>Es kostet 5 €.\n#### 5", "#### 6", "Also 5.\n#### 5"),
    "Who knows?": ("#### 1", "#### 2", "no number"),
}
"""The draws of each question: one vote with a loser, one unanimous, one with a thought, one tie."""


class Scripted:
    """Draws are as written."""

    deterministic, identity = True, "scripted"

    def __init__(self, answers: Mapping[str, Sequence[str]]) -> None:
        self._answers = answers

    def generate(
        self, prompts: Sequence[Prompt | str], sampling: Sampling, finished: Finished | None = None
    ) -> list[Completion]:
        asked = [prompt for prompt in prompts if isinstance(prompt, Prompt)]
        return [Completion(self._answers[one.text][one.draw], "stop", 1, 2, -0.5) for one in asked]

    def close(self) -> None:
        pass


def voted_run(folder: Path, answers: Mapping[str, Sequence[str]] = ANSWERS, draws: int = 3, **config: Any) -> Path:
    """The folder of a run that ended after its vote. `config` replaces nodes of the default configuration."""
    store = Store(folder / "store")
    node = {**composed("tracking=none", f"store={store.root}"), **config}
    (folder / "run").mkdir(parents=True)
    summary = Summary("voted", 0, [], node, folder / "run")
    context = stage_context(store, LazyEngine("e", lambda: Scripted(answers)), events=summary)
    asked = _questions(store, answers)
    rule = Majority("majority", draws=draws, tie="drop", min_agreement=0.0, select_response="first", seed=0)
    vote = Vote(rule, "number")
    drawn = context.run(Answer("{question}", Sampling()), asked, until=vote)
    context.run(vote, asked, drawn)
    summary.status = "finished"
    summary.write()
    return folder / "run"


def _questions(store: Store, answers: Mapping[str, Sequence[str]]) -> Artifact:
    questions = [Question(text_id(text), text, 0) for text in answers]
    return store.build(Key("diversify", 1, {}), lambda work: Outcome(questions))
