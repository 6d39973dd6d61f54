"""Preference pairs from votes: of one question, the response that won and one that lost.

In: a run's pairs, ballots and draws. Out: `Preference`s, with the losing draw that objective=dpo would take
(`crescent.voting.contrast_stage`): the first one of the answer with the fewest votes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from crescent.core.errors import UserError
from crescent.core.records import Ballot, QAPair
from crescent.engines.ledger import stored_rows
from crescent.exporting.finished import FinishedRun
from crescent.voting.contrast_stage import Loser, losing_draws


@dataclass(frozen=True, slots=True)
class Preference:
    """`rejected` is the text of `loser`."""

    pair: QAPair
    rejected: str
    loser: Loser


def preferences(run: FinishedRun, pairs: Sequence[QAPair]) -> list[Preference]:
    """One preference for each pair whose vote was not unanimous, in the order of the pairs. Raises UserError if there
    is none."""
    ballots: dict[str, tuple[Ballot, Path]] = {}
    for voted, ledger in run.votes():
        place = run.ledger(ledger)
        ballots.update({ballot.question_id: (ballot, place) for ballot in voted})  # the last iteration's count
    losers = {
        pair.question_id: lost[0]
        for pair in pairs
        if pair.question_id in ballots and (lost := losing_draws(pair, ballots[pair.question_id][0]))
    }
    texts = _texts({question: (ballots[question][1], loser.draw) for question, loser in losers.items()})
    made = [
        Preference(pair, run.learned(texts[pair.question_id]).strip(), losers[pair.question_id])
        for pair in pairs
        if pair.question_id in texts
    ]
    if not made:
        reason = "no vote has a losing answer" if ballots else "its pairs come from no vote"
        raise UserError(
            f"{run.folder} has no preferences: {reason}. They need several draws of each question that sometimes "
            "disagree: vote=majority vote.draws=5, source=crescent or source=questions"
        )
    return made


def _texts(losers: Mapping[str, tuple[Path, int]]) -> dict[str, str]:
    """The texts of the losing draws (ledger, draw), by question."""
    return {
        row.question_id: row.text
        for ledger in sorted({place for place, _ in losers.values()})
        for row in stored_rows(ledger)
        if losers.get(row.question_id) == (ledger, row.draw)
    }
