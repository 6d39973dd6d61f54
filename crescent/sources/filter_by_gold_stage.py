"""Selects pairs among draws by a known answer, or without a vote: what the baselines do.

In: Questions, what a seed set knows about them, and draws. Out: an artifact of QAPairs and `ballots.jsonl`, in the
format and under the name of a vote's, for everything that reads those. A question may give several pairs. Which draws
are kept:

    right     those that reach the gold answer (rejection sampling: Yuan et al., arXiv 2308.01825)
    believed  all with an answer
    gold      the seed set's own solutions; nothing is drawn
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from crescent.answers import equivalent, extract
from crescent.answers.thoughts import ending, without_thoughts
from crescent.core.context import ModelKeys, Stage, StageContext
from crescent.core.errors import UserError
from crescent.core.records import BALLOTS, Ballot, Gold, QAPair, Question, Solution, encode, read_golds
from crescent.core.store import Artifact, Key, Outcome, not_in_key
from crescent.engines import unfinished
from crescent.voting.draws import Draws

Keep = Literal["right", "believed", "gold"]
Distinct = Literal["equations", "text"]
EQUATION = re.compile(r"[\d(][\d\s.,+\-*/×÷()$%]*=\s*\$?[\d.,]*\d")  # 3 + 4 = 7 · 14 * 6 = 84
Slot = tuple[int, int]
"""(question, draw)."""


@dataclass(frozen=True, slots=True)
class Select(Stage):
    """Keeps at most `num_pairs` pairs: the first pairs of all questions before second ones.

    Of one question's kept draws only distinct ones are used: distinct in the list of their `equations`, as in rejection
    sampling fine-tuning (a draw without equations is compared by its text), or in their `text`. `shares` divides the
    pairs among the kinds of questions; what one kind cannot supply, the others do, in their order.
    """

    NAME: ClassVar[str] = "vote"
    VERSION: ClassVar[int] = 4

    keep: Keep
    kind: str
    num_pairs: int
    distinct: Distinct = "equations"
    shares: Mapping[str, float] | None = None
    draws: int = not_in_key(default=0)

    def __post_init__(self) -> None:
        if self.num_pairs < 1:
            raise UserError(f"source.num_pairs is {self.num_pairs}; it must be at least 1")
        for kind, share in (self.shares or {}).items():
            if not 0 <= share <= 1:
                raise UserError(f"source.method.shares.{kind} is {share}; it must be a share of the pairs, from 0 to 1")

    def key(self, models: ModelKeys, *inputs: str) -> Key:
        """`inputs`: the questions, and the ledger of their draws if there are any."""
        questions, *ledger = inputs
        return Key(self.NAME, self.VERSION, self, (questions, f"{ledger[0]}/{self.draws}" if ledger else "none"))

    def title(self, *inputs: object, **options: object) -> str:
        """Empty if there are draws: continues under the heading of the answers."""
        return "" if self.draws else "3 Select pairs: the solutions of the seed set"

    def run(
        self, context: StageContext, questions: Artifact, answered: Draws | None = None, *, golds: Artifact
    ) -> Artifact:
        """Returns the pairs. `golds` is the artifact with the known answers; `answered` are `draws` draws of each
        question, None for keep=gold."""

        def build(work: Path) -> Outcome:
            texts, by_question = questions.read(Question), {gold.question_id: gold for gold in read_golds(golds.path)}
            known = [by_question[question.id] for question in texts]
            solutions = answered.solutions if answered else [[] for _ in texts]
            draws = [self._draws(gold, made) for gold, made in zip(known, solutions, strict=True)]
            answers = [[self._answer(draw) for draw in made] for made in draws]
            options = list(map(self._options, known, draws, answers))
            slots = set(self._shared_out(known, options))
            ballots = [
                _ballot(question, gold, said, kept, self.keep)
                for question, gold, said, kept in zip(texts, known, answers, options, strict=True)
            ]
            pairs = [
                _pair(texts[index], draws[index][draw], answers[index][draw], ballots[index])
                for index, kept in enumerate(options)
                for draw in kept
                if (index, draw) in slots
            ]
            with open(work / BALLOTS, "w", encoding="utf-8") as file:
                file.writelines(encode(ballot) + "\n" for ballot in ballots)
            kinds = Counter(known[index].kind for index, _ in slots)
            ended = unfinished(ending(draw.text, draw.finish_reason) for made in draws for draw in made)
            info = {**_info(ballots, len(pairs), kinds), "draws_unfinished": ended}
            return Outcome(pairs, info, {BALLOTS: work / BALLOTS})

        return context.store.build(context.key(self, questions, *([answered] if answered else [])), build)

    def _draws(self, gold: Gold, solutions: Sequence[Solution]) -> list[Solution]:
        """The draws; for keep=gold, the seed's own solution as the only draw."""
        if self.keep != "gold":
            return list(solutions)
        return [Solution(gold.question_id, 0, gold.solution, "stop", 0, 0.0)]

    def _answer(self, draw: Solution) -> str | None:
        return extract(draw.text, self.kind) if draw.finish_reason == "stop" else None

    def _options(self, gold: Gold, draws: Sequence[Solution], answers: Sequence[str | None]) -> list[int]:
        """The draws of one question that may be kept, in order, without duplicates."""
        seen: dict[str, int] = {}
        for place, (draw, answer) in enumerate(zip(draws, answers, strict=True)):
            if answer is not None and (self.keep == "believed" or equivalent(answer, gold.answer)):
                said = without_thoughts(draw.text)
                seen.setdefault(reasoning(said) if self.distinct == "equations" else said.strip(), place)
        return list(seen.values())

    def _shared_out(self, golds: Sequence[Gold], options: Sequence[Sequence[int]]) -> list[Slot]:
        """At most `num_pairs` slots: each kind's share first, then any others."""
        ranked = list(_in_turns(options))
        taken: dict[Slot, None] = {}
        for kind, share in (self.shares or {}).items():
            mine = [slot for slot in ranked if golds[slot[0]].kind == kind]
            taken.update(dict.fromkeys(mine[: round(share * self.num_pairs)]))
        taken.update(dict.fromkeys(slot for slot in ranked if slot not in taken))
        return list(taken)[: self.num_pairs]


def reasoning(text: str) -> str:
    """The equations of a solution without spaces, which distinguish two ways to an answer; its text if it has none."""
    found = EQUATION.findall(text)
    return "\n".join("".join(equation.split()) for equation in found) if found else " ".join(text.split())


def _in_turns(options: Sequence[Sequence[int]]) -> Iterator[Slot]:
    """First options of all questions, then second ones, and so on."""
    for rank in range(max(map(len, options), default=0)):
        for index, kept in enumerate(options):
            if rank < len(kept):
                yield index, kept[rank]


def _ballot(question: Question, gold: Gold, answers: Sequence[str | None], kept: Sequence[int], keep: Keep) -> Ballot:
    """The ballot of one question: the winner is the gold answer, or for keep=believed the first draw's answer."""
    chosen = kept[0] if kept else None
    answer = gold.answer if keep != "believed" else (None if chosen is None else answers[chosen])
    votes = sum(equivalent(one, answer) for one in answers)
    reason = keep if kept else "no right answer" if keep == "right" else "no answer"
    agreement = round(votes / max(1, len(answers)), 4)
    return Ballot(question.id, tuple(answers), answer, votes, len(answers), agreement, chosen, reason)


def _pair(question: Question, draw: Solution, answer: str | None, ballot: Ballot) -> QAPair:
    assert answer is not None
    text = draw.text.strip()
    return QAPair(question.id, question.text, text, answer, ballot.votes, ballot.draws, ballot.agreement)


def _info(ballots: Sequence[Ballot], pairs: int, kinds: Mapping[str, int]) -> dict[str, object]:
    """The counters of a vote, and the number of pairs by kind of question."""
    kept = [ballot for ballot in ballots if ballot.chosen is not None]
    return {
        "questions": len(ballots),
        "pairs": pairs,
        "pairs_by_kind": dict(sorted(kinds.items())),
        "without_pair": dict(sorted(Counter(ballot.reason for ballot in ballots if ballot.chosen is None).items())),
        "mean_agreement": round(sum(ballot.agreement for ballot in kept) / max(1, len(kept)), 4),
        "draws": sum(ballot.draws for ballot in ballots),
        "mean_draws": round(sum(ballot.draws for ballot in ballots) / max(1, len(ballots)), 4),
        "draws_without_answer": sum(ballot.answers.count(None) for ballot in ballots),
    }
