"""Adds to each pair a response that lost the vote, for objectives that learn from both.

In: the QAPairs of a vote with its ballots, and the draws that voted. Out: an artifact of the same pairs in the same
order, with `rejected` and `margin` where a draw lost. Nothing is generated.
"""

from collections import Counter
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from crescent.answers import equivalent
from crescent.core.context import ModelKeys, Stage, StageContext
from crescent.core.records import BALLOTS, Ballot, QAPair, Solution
from crescent.core.store import Artifact, Key, Outcome
from crescent.voting.draws import Draws


@dataclass(frozen=True, slots=True)
class Contrast(Stage):
    """Takes a draw of the answer with the fewest votes, the first one (Self-consistency Preference Optimization, arXiv
    2411.04109, section 2). A draw without an answer lost no vote, and neither did one whose answer has as many votes as
    the pair's. Further pairs of a question take its further losing draws in turn.
    """

    NAME: ClassVar[str] = "contrast"
    VERSION: ClassVar[int] = 1

    wanted: bool

    def key(self, models: ModelKeys, *inputs: str) -> Key | None:
        """None if the objective learns from winning responses alone."""
        return Key(self.NAME, self.VERSION, "fewest votes", inputs) if self.wanted else None

    def title(self, *inputs: object, **options: object) -> str:
        """Empty: continues under the heading of the vote."""
        return ""

    def run(self, context: StageContext, pairs: Artifact, answered: Draws) -> Artifact:
        """Returns the pairs with what lost to them."""

        def build(_work: Path) -> Outcome:
            info: dict[str, object] = {}
            return Outcome(made(info), info)

        def made(info: dict[str, object]) -> Iterator[QAPair]:
            """Reads the draws of a question only if some of them disagree."""
            ballots = {ballot.question_id: ballot for ballot in pairs.stream(Ballot, BALLOTS) if _is_split(ballot)}
            places = _places(answered, ballots)
            seen: Counter[str] = Counter()
            count, losers, margins = 0, 0, 0.0
            for pair in pairs.stream(QAPair):
                name = pair.question_id
                if name in ballots:
                    pair = contrasted(pair, ballots[name], answered.solutions[places[name]], seen[name])
                    seen[name] += 1
                count, losers, margins = count + 1, losers + (pair.rejected is not None), margins + pair.margin
                yield pair
            info.update(pairs=count, with_a_loser=losers, mean_margin=round(margins / max(1, losers), 4))

        return context.store.build(context.key(self, pairs, answered), build)


def _is_split(ballot: Ballot) -> bool:
    return len({answer for answer in ballot.answers if answer is not None}) > 1


def _places(answered: Draws, wanted: Container[str]) -> dict[str, int]:
    """Where the draws of each wanted question are."""
    names = ((place, draws[0].question_id) for place, draws in enumerate(answered.solutions) if draws)
    return {name: place for place, name in names if name in wanted}


def contrasted(pair: QAPair, ballot: Ballot, draws: Sequence[Solution], turn: int = 0) -> QAPair:
    """The pair with the `turn`-th of the draws that lost to it; unchanged if none did."""
    lost = losing_draws(pair, ballot)
    if not lost:
        return pair
    loser = lost[turn % len(lost)]
    return replace(pair, rejected=draws[loser.draw].text.strip(), margin=loser.margin)


@dataclass(frozen=True, slots=True)
class Loser:
    """A draw that lost, the votes of its answer, and by what share of the draws that lost."""

    draw: int
    answer: str
    votes: int
    margin: float


def losing_draws(pair: QAPair, ballot: Ballot) -> list[Loser]:
    """The draws that lost to a pair's response: those of the answer with the fewest votes first, then by draw."""
    counts = Counter(answer for answer in ballot.answers if answer is not None)
    lost = [
        Loser(draw, answer, counts[answer], round((pair.votes - counts[answer]) / ballot.draws, 4))
        for draw, answer in enumerate(ballot.answers)
        if answer is not None and counts[answer] < pair.votes and not equivalent(answer, pair.answer)
    ]
    return sorted(lost, key=lambda loser: (loser.votes, loser.draw))
