"""How a model is brought to write a question: the `opening` of the `elicit` choice.

In: the domain's bait and the teacher. Out: what the teacher is to go on from, and what ends its question beside the end
of its turn. It generates nothing.
"""

from dataclasses import dataclass
from typing import Protocol

from crescent.core.errors import UserError
from crescent.engines.user_turns import check_user_turn, user_turn
from crescent.engines.weights import Weights


@dataclass(frozen=True, slots=True)
class Opened:
    """`rendered` text has the chat template already; other text becomes a user turn. `stop` texts end a question."""

    text: str
    rendered: bool = False
    stop: tuple[str, ...] = ()


class Opening(Protocol):
    """How the teacher is asked. `reads_bait`: what it writes depends on the domain's bait."""

    @property
    def reads_bait(self) -> bool: ...

    def check(self, weights: Weights, loads_weights: bool) -> None: ...

    def open(self, bait: str, weights: Weights | None) -> Opened: ...


@dataclass(frozen=True, slots=True)
class Bait:
    """`elicit=bait`: a user asks for a question."""

    @property
    def reads_bait(self) -> bool:
        """It is the bait."""
        return True

    def check(self, weights: Weights, loads_weights: bool) -> None:
        """Every model can be asked."""

    def open(self, bait: str, weights: Weights | None) -> Opened:
        """The bait, as a user turn."""
        return Opened(bait)


@dataclass(frozen=True, slots=True)
class PreQuery:
    """`elicit=pre_query`: the model writes the user's turn of its own chat template (Magpie, arXiv 2406.08464), behind
    a system turn if there is one."""

    system: str | None = None

    def __post_init__(self) -> None:
        if self.system is not None and not self.system.strip():
            raise UserError("elicit.opening.system is empty; give it a text, or null for no system turn")

    @property
    def reads_bait(self) -> bool:
        """Nobody asks."""
        return False

    def check(self, weights: Weights, loads_weights: bool) -> None:
        """Raises ValueError with a suggested fix where the template of a model cannot be opened."""
        check_user_turn(weights, self.system, loads_weights)

    def open(self, bait: str, weights: Weights | None) -> Opened:
        """The template up to what a user would say."""
        assert weights is not None, "the template is the model's"
        turn = user_turn(weights, self.system)
        return Opened(turn.prefix, True, turn.marks)
