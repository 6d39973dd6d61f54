"""Voting rules: how many draws a question gets, which answer wins, and which winning response is trained on.

In: the draws of one question and their answers, in order. Out: how many more draws to make, and a `Verdict`. A rule
depends only on that question's draws, not on other questions or on how draws were batched.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from crescent.answers.thoughts import without_thoughts
from crescent.core.errors import UserError
from crescent.core.records import Solution, text_id
from crescent.core.store import renamed_in_key
from crescent.voting.majority import TIES, Tie, VoteResult, is_confident, is_settled, vote

Select = Literal["first", "shortest", "random", "logprob"]
CHOICES: tuple[Select, ...] = ("first", "shortest", "random", "logprob")
Stop = Literal["exact", "confident"]
STOPS: tuple[Stop, ...] = ("exact", "confident")
Answers = Sequence[str | None]
MAX_DRAWS = 10_000  # the draws of all questions are requested together: more is a mistake that would exhaust memory


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of one question's vote: `chosen` is the index of the draw to train on, None for no pair."""

    answer: str | None
    votes: int
    chosen: int | None
    reason: str


class Rule(Protocol):
    """The settings of a vote. `draws` is the maximum per question."""

    @property
    def name(self) -> str: ...

    @property
    def draws(self) -> int: ...

    def wanted(self, solutions: Sequence[Solution], answers: Answers) -> int:
        """How many more draws to make before checking again; 0 if there are enough."""
        ...

    def decide(self, solutions: Sequence[Solution], answers: Answers) -> Verdict: ...


@dataclass(frozen=True, slots=True)
class Majority:
    """`vote=majority`: the most frequent answer among `draws` wins (self-consistency, arXiv 2203.11171).

    `select_response` is the winning response to train on: the first, the shortest (without thoughts), a random one by
    seed, or the one with the highest mean log-probability.
    """

    name: str = "majority"
    draws: int = 5
    tie: Tie = "drop"
    min_agreement: float = 0.0
    select_response: Select = renamed_in_key("choose", default="first")
    seed: int = 0

    def __post_init__(self) -> None:
        _check(self.draws, self.tie, self.min_agreement, self.select_response)

    def wanted(self, solutions: Sequence[Solution], answers: Answers) -> int:
        return max(0, self.draws - len(solutions))

    def decide(self, solutions: Sequence[Solution], answers: Answers) -> Verdict:
        return _decide(solutions, answers, self.tie, self.min_agreement, self.select_response, self.seed)


@dataclass(frozen=True, slots=True)
class Adaptive:
    """`vote=adaptive`: stops early for questions that do not need all `draws`.

    `stop=exact` stops once no remaining draw could change what `majority` of `draws` gives: winner, pair or none,
    chosen response. (With `select_response=shortest` or `logprob` any later winning response may be the chosen one, so
    only questions that cannot give a pair stop early.) `stop=confident` stops as soon as the posterior that the leader
    wins reaches `confidence`, which saves more and can differ; the vote is then among the draws made. Agreement is
    always votes / draws made.
    """

    name: str = "adaptive"
    draws: int = 16
    stop: Stop = "confident"
    confidence: float = 0.95
    tie: Tie = "drop"
    min_agreement: float = 0.0
    select_response: Select = renamed_in_key("choose", default="first")
    seed: int = 0

    def __post_init__(self) -> None:
        _check(self.draws, self.tie, self.min_agreement, self.select_response)
        if self.stop not in STOPS:
            raise UserError(f"vote.stop is {self.stop!r}; it may be {', '.join(STOPS)}")
        if not 0.5 < self.confidence < 1:
            raise UserError(f"vote.confidence is {self.confidence}; it must be above 0.5 and below 1")

    def wanted(self, solutions: Sequence[Solution], answers: Answers) -> int:
        """The fewest draws after which it could stop, so no requested draw can turn out to be superfluous."""
        if self._has_enough(solutions, answers):
            return 0
        counts = Counter(answer for answer in answers if answer is not None)
        leader = counts.most_common(1)[0][0] if counts else "?"
        for more in range(1, self.draws - len(answers)):
            if self._may_stop([*answers, *[leader] * more]) or self._may_stop([*answers, *[None] * more]):
                return more
        return self.draws - len(answers)

    def decide(self, solutions: Sequence[Solution], answers: Answers) -> Verdict:
        # Exact: a certain winner also wins among the draws made; a certain failure needs the final count.
        if self.stop == "exact" and len(answers) < self.draws:
            rest: list[None] = [None] * (self.draws - len(answers))
            lengths = [_length(solution) for solution in solutions] + [0] * len(rest)
            full = vote([*answers, *rest], self.tie, self.min_agreement, lengths)
            return _verdict(full, solutions, answers, self.select_response, self.seed)
        return _decide(solutions, answers, self.tie, self.min_agreement, self.select_response, self.seed)

    def _has_enough(self, solutions: Sequence[Solution], answers: Answers) -> bool:
        if not self._may_stop(answers):
            return False
        if self.stop == "confident" or len(answers) >= self.draws:
            return True
        verdict = self.decide(solutions, answers)
        return verdict.chosen is None or self._stays_chosen(solutions, verdict.chosen)

    def _may_stop(self, answers: Answers) -> bool:
        """True if the answers alone allow stopping."""
        if is_settled(answers, self.draws, self.tie, self.min_agreement):
            return True
        return self.stop == "confident" and is_confident(answers, self.confidence, self.min_agreement)

    def _stays_chosen(self, solutions: Sequence[Solution], chosen: int) -> bool:
        """True if no later winning response could be chosen instead."""
        if self.select_response == "random":
            question = solutions[0].question_id
            later = (_priority(self.seed, question, draw) for draw in range(len(solutions), self.draws))
            return _priority(self.seed, question, chosen) < min(later)
        return self.select_response == "first"


@dataclass(frozen=True, slots=True)
class Single:
    """`vote=single`: the first draw is the answer (the ablation without consensus). It makes one draw, whatever `draws`
    says: a preset may set it for other rules."""

    name: str = "single"
    draws: int = 1

    def __post_init__(self) -> None:
        _check_draws(self.draws)
        object.__setattr__(self, "draws", 1)

    def wanted(self, solutions: Sequence[Solution], answers: Answers) -> int:
        return max(0, self.draws - len(solutions))

    def decide(self, solutions: Sequence[Solution], answers: Answers) -> Verdict:
        if answers[0] is None:
            return Verdict(None, 0, None, "no answer")
        return Verdict(answers[0], 1, 0, "first draw")


@dataclass(frozen=True, slots=True)
class FormatOnly:
    """`vote=format_only`: a control. Keeps the same questions as `majority`, each with a random draw that has an
    answer.

    The student learns the same response format, on the same questions, from labels that no vote chose. A gain of
    `majority` over this control is the effect of choosing the label; the effect of dropping unclear questions is in
    both.
    """

    name: str = "format_only"
    draws: int = 5
    tie: Tie = "drop"
    min_agreement: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        _check(self.draws, self.tie, self.min_agreement, "random")

    def wanted(self, solutions: Sequence[Solution], answers: Answers) -> int:
        return max(0, self.draws - len(solutions))

    def decide(self, solutions: Sequence[Solution], answers: Answers) -> Verdict:
        won = _decide(solutions, answers, self.tie, self.min_agreement, "first", self.seed)
        if won.chosen is None:
            return won
        answered = [index for index, answer in enumerate(answers) if answer is not None]
        chosen = _choose(solutions, answered, "random", self.seed)
        return Verdict(answers[chosen], Counter(answers)[answers[chosen]], chosen, "random draw")


@dataclass(frozen=True, slots=True)
class Dissent:
    """`vote=dissent`: controlled label noise. Keeps the same questions as `majority`; of those whose draws disagree, a
    `share` is trained on a losing draw. At 0 it equals `majority` with the first winning draw."""

    name: str = "dissent"
    draws: int = 5
    share: float = 0.5
    tie: Tie = "drop"
    min_agreement: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        _check(self.draws, self.tie, self.min_agreement, "random")
        if not 0 <= self.share <= 1:
            raise UserError(f"vote.share is {self.share}; it must be a share of the questions, from 0 to 1")

    def wanted(self, solutions: Sequence[Solution], answers: Answers) -> int:
        return max(0, self.draws - len(solutions))

    def decide(self, solutions: Sequence[Solution], answers: Answers) -> Verdict:
        won = _decide(solutions, answers, self.tie, self.min_agreement, "first", self.seed)
        lost = [index for index, answer in enumerate(answers) if answer not in (None, won.answer)]
        if won.chosen is None or not lost or not self._takes(solutions[0].question_id):
            return won
        chosen = _choose(solutions, lost, "random", self.seed)
        return Verdict(answers[chosen], Counter(answers)[answers[chosen]], chosen, "a draw that lost")

    def _takes(self, question_id: str) -> bool:
        """True if the question is in the share: it has a fixed number in [0, 1), so larger shares contain smaller
        ones."""
        return int(text_id(str(self.seed), question_id, "dissent")[:8], 16) / 16**8 < self.share


def draws_consumed(rule: Rule, solutions: Sequence[Solution], answers: Answers) -> int:
    """How many of these draws the rule would have made: further draws in a ledger do not vote."""
    most = min(len(solutions), rule.draws)
    return next((n for n in range(1, most) if rule.wanted(solutions[:n], answers[:n]) == 0), most)


def _decide(
    solutions: Sequence[Solution], answers: Answers, tie: Tie, min_agreement: float, select_response: Select, seed: int
) -> Verdict:
    result = vote(answers, tie, min_agreement, [_length(solution) for solution in solutions])
    return _verdict(result, solutions, answers, select_response, seed)


def _verdict(
    result: VoteResult, solutions: Sequence[Solution], answers: Answers, select_response: Select, seed: int
) -> Verdict:
    if result.answer is None:
        return Verdict(None, result.votes, None, result.reason)
    winners = [index for index, answer in enumerate(answers) if answer == result.answer]
    return Verdict(result.answer, result.votes, _choose(solutions, winners, select_response, seed), result.reason)


def _choose(solutions: Sequence[Solution], among: Sequence[int], how: Select, seed: int) -> int:
    if how == "shortest":
        return min(among, key=lambda index: (_length(solutions[index]), index))
    if how == "logprob":
        return max(among, key=lambda index: (solutions[index].mean_logprob, -index))
    if how == "random":
        return min(among, key=lambda index: _priority(seed, solutions[0].question_id, index))
    return among[0]


def _length(solution: Solution) -> int:
    """Characters of a response; what the model thought before it does not count."""
    said = without_thoughts(solution.text)
    return len(said if said == solution.text else said.strip())


def _priority(seed: int, question_id: str, draw: int) -> str:
    """A random order of a question's draws that does not depend on their number."""
    return text_id(str(seed), question_id, str(draw))


def _check(draws: int, tie: str, min_agreement: float, select_response: str) -> None:
    _check_draws(draws)
    if tie not in TIES:
        raise UserError(f"vote.tie is {tie!r}; it may be {', '.join(TIES)}")
    if not 0 <= min_agreement <= 1:
        raise UserError(f"vote.min_agreement is {min_agreement}; it must be a share of the draws, from 0 to 1")
    if select_response not in CHOICES:
        raise UserError(f"vote.select_response is {select_response!r}; it may be {', '.join(CHOICES)}")


def _check_draws(draws: int) -> None:
    if draws < 1:
        raise UserError(f"vote.draws is {draws}; it must be at least 1")
    if draws > MAX_DRAWS:
        raise UserError(f"vote.draws is {draws}; it may be up to {MAX_DRAWS:,}")
