"""Verification: drops questions that the teacher itself does not consider complete, answerable problems.

In: an artifact of Questions. Out: an artifact of the kept Questions, with `verdicts.jsonl`: the replies to each
question. All replies are in a ledger, so runs share them and a killed run repeats none. This stage is our addition to
the published method.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from crescent.answers.thoughts import without_thoughts
from crescent.core.console import counted
from crescent.core.context import ModelKeys, Stage, StageContext
from crescent.core.errors import UserError
from crescent.core.records import Question, Solution
from crescent.core.store import Artifact, Key, Outcome
from crescent.domain import fill
from crescent.engines import Sampling
from crescent.engines.ledger import Ask, Drawn, Ledger
from crescent.verification.settings import NoVerification, SelfVerification, Verification

VERDICTS = "verdicts.jsonl"
EXAMPLES, EXAMPLE_CHARACTERS = 3, 300  # number and length of dropped questions quoted in the artifact's info
_VERDICT = re.compile(r"\b(yes|no)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Verify(Stage):
    """Asks the context's engine about every question."""

    NAME: ClassVar[str] = "verify"
    VERSION: ClassVar[int] = 1
    TOKENS: ClassVar[str | None] = "tokens"

    settings: Verification
    sampling: Sampling

    def key(self, models: ModelKeys, *inputs: str) -> Key | None:
        """The artifact's key; None for verify=none."""
        if isinstance(self.settings, NoVerification):
            return None
        return Key(self.NAME, self.VERSION, self, (*inputs, models.engine))

    def title(self, *inputs: object, **options: object) -> str:
        """Includes the number of verdicts per question."""
        return f"2 Verify: the model judges its questions ({counted(self.settings.draws, 'verdict')} each)"

    def run(self, context: StageContext, questions: Artifact) -> Artifact:
        """The kept questions. Raises UserError if none is kept."""
        settings, paid = self.settings, [0]
        assert isinstance(settings, SelfVerification), "there is no key otherwise"

        def build(work: Path) -> Outcome:
            asked = questions.read(Question)
            drawn = self._replies(settings, asked, context)
            paid[0] = drawn.generated_tokens
            replies = [drawn.rows[at : at + settings.draws] for at in range(0, len(drawn.rows), settings.draws)]
            verdicts = [[verdict(row) for row in rows] for rows in replies]
            kept = [sum(one is True for one in said) >= settings.min_share * len(said) for said in verdicts]
            with open(work / VERDICTS, "w", encoding="utf-8") as file:
                for question, rows, said in zip(asked, replies, verdicts, strict=True):
                    told = {"question_id": question.id, "verdicts": said, "replies": [row.text for row in rows]}
                    file.write(json.dumps(told, ensure_ascii=False) + "\n")
            if not any(kept):
                raise UserError(
                    f"verify=self keeps none of {counted(len(asked), 'question')}. Look at verify.prompt: the model "
                    f"replied {replies[0][0].text.strip()[:60]!r} to the first. verify=none keeps them all."
                )
            found = [question for question, is_kept in zip(asked, kept, strict=True) if is_kept]
            lost = [question for question, is_kept in zip(asked, kept, strict=True) if not is_kept]
            return Outcome(found, _info(asked, lost, verdicts, drawn.rows), {VERDICTS: work / VERDICTS})

        made = context.store.build(context.key(self, questions), build)
        context.costs(new_tokens=paid[0])
        return made

    def _replies(self, settings: SelfVerification, asked: Sequence[Question], context: StageContext) -> Drawn:
        asks = [
            Ask(question.id, draw, fill(settings.prompt, question=question.text))
            for question in asked
            for draw in range(settings.draws)
        ]
        limit = self.sampling.max_new_tokens
        with context.console.progress("questions judged", len(asks), "verdicts", limit) as tally:
            return Ledger(context.store, context.engine, settings.prompt, self.sampling).complete(asks, tally)


def verdict(reply: Solution) -> bool | None:
    """The first yes or no after a reply's thoughts, even if the reply was cut off; None if there is none, or if the
    engine gave up.
    """
    if reply.finish_reason not in ("stop", "length"):
        return None
    found = _VERDICT.search(without_thoughts(reply.text))
    return None if found is None else found[1].lower() == "yes"


def _info(
    asked: Sequence[Question],
    lost: Sequence[Question],
    verdicts: Sequence[Sequence[bool | None]],
    rows: Sequence[Solution],
) -> dict[str, Any]:
    said = [one for of_question in verdicts for one in of_question]
    examples = [question.text[:EXAMPLE_CHARACTERS] for question in lost[:EXAMPLES]]
    return {
        "questions": len(asked),
        "kept": len(asked) - len(lost),
        "verdicts_yes": said.count(True),
        "verdicts_no": said.count(False),
        "verdicts_unclear": said.count(None),
        "tokens": sum(row.new_tokens for row in rows),
        "thrown_away": {"not verified": {"count": len(lost), "examples": examples}} if lost else {},
    }
