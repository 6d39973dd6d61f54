"""The truth about questions that the organism's grammar can read, for `oracle=organism`.

In: a question. Out: its true answer, or None for any text from outside of the grammar.
"""

from dataclasses import dataclass

from crescent.organism import ordering, world


@dataclass(frozen=True, slots=True)
class OrganismOracle:
    """Solves word problems and ordering puzzles by the world's own rules."""

    name: str = "organism"

    def truth(self, question: str) -> str | None:
        """The canonical answer."""
        found = world.solve(question) or ordering.solve(question)
        return found[1] if found else None
