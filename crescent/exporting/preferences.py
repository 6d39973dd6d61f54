"""Preference pairs from votes: of one question, the response that won and one that lost.

In: a run's pairs, ballots and draws. Out: `Preference`s. A draw loses if it committed to another answer than the
winning one; a draw without an answer (cut off, or no number in it) does not count as a loser. Of several losers the one
whose answer has the most votes is used, the most plausible mistake; of these the first draw.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from crescent.answers import equivalent
from crescent.core.errors import UserError
from crescent.core.records import Ballot, QAPair
from crescent.engines.ledger import stored_rows
from crescent.exporting.finished import FinishedRun


@dataclass(frozen=True, slots=True)
class Preference:
    """`margin` is the share of the draws by which the winning answer leads: (votes - rejected_votes) / draws."""

    pair: QAPair
    rejected: str
    rejected_answer: str
    rejected_votes: int
    margin: float


def preferences(run: FinishedRun, pairs: Sequence[QAPair]) -> list[Preference]:
    """One preference for each pair whose vote was not unanimous, in the order of the pairs. Raises UserError if there
    is none."""
    ballots: dict[str, tuple[Ballot, Path]] = {}
    for voted, ledger in run.votes():
        place = run.ledger(ledger)
        ballots.update({ballot.question_id: (ballot, place) for ballot in voted})  # the last iteration's count
    losers = {pair.question_id: loser for pair in pairs if (loser := _loser(pair, ballots)) is not None}
    texts = _texts({question: (ballots[question][1], draw) for question, draw in losers.items()})
    made = [
        _preference(pair, ballots[pair.question_id][0], losers[pair.question_id], run.learned(texts[pair.question_id]))
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


def _loser(pair: QAPair, ballots: Mapping[str, tuple[Ballot, Path]]) -> int | None:
    """The draw that lost to this pair's."""
    if pair.question_id not in ballots:
        return None
    answers = ballots[pair.question_id][0].answers
    lost = [draw for draw, answer in enumerate(answers) if answer is not None and not equivalent(answer, pair.answer)]
    return max(lost, key=lambda draw: (answers.count(answers[draw]), -draw), default=None)


def _texts(losers: Mapping[str, tuple[Path, int]]) -> dict[str, str]:
    """The texts of the losing draws (ledger, draw), by question."""
    return {
        row.question_id: row.text
        for ledger in sorted({place for place, _ in losers.values()})
        for row in stored_rows(ledger)
        if losers.get(row.question_id) == (ledger, row.draw)
    }


def _preference(pair: QAPair, ballot: Ballot, loser: int, text: str) -> Preference:
    answer = ballot.answers[loser]
    assert answer is not None, "a loser has an answer"
    votes = ballot.answers.count(answer)
    return Preference(pair, text.strip(), answer, votes, round((pair.votes - votes) / max(1, pair.draws), 4))
