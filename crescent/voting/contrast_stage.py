"""Adds to each pair a response that lost the vote, for objectives that learn from both.

In: the QAPairs of a vote with its ballots, and the draws that voted. Out: an artifact of the same pairs in the same
order, with `rejected` and `margin` where a draw lost. Nothing is generated.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from crescent.answers import equivalent
from crescent.core.context import ModelKeys, Stage, StageContext
from crescent.core.records import Ballot, QAPair, Solution
from crescent.core.store import Artifact, Key, Outcome
from crescent.voting.draws import Draws, read_ballots


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
            drawn = {draws[0].question_id: draws for draws in answered.solutions if draws}
            ballots = {ballot.question_id: ballot for ballot in read_ballots(pairs)}
            seen: Counter[str] = Counter()
            made: list[QAPair] = []
            for pair in pairs.read(QAPair):
                name = pair.question_id
                made.append(contrasted(pair, ballots[name], drawn.get(name, ()), seen[name]))
                seen[name] += 1
            margins = [pair.margin for pair in made if pair.rejected is not None]
            mean = round(sum(margins) / max(1, len(margins)), 4)
            return Outcome(made, {"pairs": len(made), "with_a_loser": len(margins), "mean_margin": mean})

        return context.store.build(context.key(self, pairs, answered), build)


def contrasted(pair: QAPair, ballot: Ballot, draws: Sequence[Solution], turn: int = 0) -> QAPair:
    """The pair with the `turn`-th of the draws that lost to it; unchanged if none did."""
    counts = Counter(answer for answer in ballot.answers if answer is not None)
    lost = [
        (counts[answer], draw)
        for draw, answer in enumerate(ballot.answers)
        if answer is not None and counts[answer] < pair.votes and not equivalent(answer, pair.answer)
    ]
    if not lost:
        return pair
    votes, draw = sorted(lost)[turn % len(lost)]
    margin = round((pair.votes - votes) / ballot.draws, 4)
    return replace(pair, rejected=draws[draw].text.strip(), margin=margin)
