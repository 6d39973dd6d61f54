"""How the teacher is prompted for a question: `elicit.opening`.

In: the domain's bait, and the teacher's weights. Out: the prompt, and additional stop strings.
"""

from dataclasses import dataclass
from typing import Protocol

from crescent.core.errors import UserError
from crescent.engines.user_turns import check_user_turn, user_turn
from crescent.engines.weights import Weights


@dataclass(frozen=True, slots=True)
class Opened:
    """A prompt. `rendered` text already carries the chat template; other text becomes a user turn. `stop` strings end a
    question, in addition to the end of the turn."""

    text: str
    rendered: bool = False
    stop: tuple[str, ...] = ()


class Opening(Protocol):
    """The `elicit.opening` choice. `reads_bait`: the prompt contains the domain's bait."""

    @property
    def reads_bait(self) -> bool: ...

    def check(self, weights: Weights, loads_weights: bool) -> None:
        """Raises UserError if the model cannot be prompted like this. Loads no model."""
        ...

    def open(self, bait: str, weights: Weights | None) -> Opened:
        """The prompt for one question."""
        ...


@dataclass(frozen=True, slots=True)
class Bait:
    """`elicit=bait`: the bait is a user turn that asks for a question."""

    @property
    def reads_bait(self) -> bool:
        return True

    def check(self, weights: Weights, loads_weights: bool) -> None:
        """No-op: every model can answer a user turn."""

    def open(self, bait: str, weights: Weights | None) -> Opened:
        return Opened(bait)


@dataclass(frozen=True, slots=True)
class PreQuery:
    """`elicit=pre_query`: the model completes the user turn of its own chat template (Magpie, arXiv 2406.08464), after
    an optional system turn."""

    system: str | None = None

    def __post_init__(self) -> None:
        if self.system is not None and not self.system.strip():
            raise UserError("elicit.opening.system is empty; give it a text, or null for no system turn")

    @property
    def reads_bait(self) -> bool:
        return False

    def check(self, weights: Weights, loads_weights: bool) -> None:
        """Raises UserError if the model's chat template has no user turn to complete."""
        check_user_turn(weights, self.system, loads_weights)

    def open(self, bait: str, weights: Weights | None) -> Opened:
        """The rendered template up to the user's text."""
        assert weights is not None, "the template is the model's"
        turn = user_turn(weights, self.system)
        return Opened(turn.prefix, True, turn.marks)
