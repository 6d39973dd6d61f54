"""Ground truth for questions that the organism's grammar can parse: `oracle=organism`.

In: a question. Out: its true answer, or None for text outside the grammar.
"""

from dataclasses import dataclass

from crescent.organism import ordering, world


@dataclass(frozen=True, slots=True)
class OrganismOracle:
    """Solves word problems and ordering puzzles by the rules of the organism's world."""

    name: str = "organism"

    def truth(self, question: str) -> str | None:
        """The canonical answer, or None."""
        found = world.solve(question) or ordering.solve(question)
        return found[1] if found else None
