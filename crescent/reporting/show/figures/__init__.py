"""The figures of a report, each with a one-sentence explanation. One file per kind of figure.

In: a comparison. Out: `Figure`s: SVG, a title, a caption with units. A figure without data is left out.
"""

from crescent.reporting.show.figures.ballots import votes
from crescent.reporting.show.figures.figure import Figure
from crescent.reporting.show.figures.forest import differences
from crescent.reporting.show.figures.losses import training
from crescent.reporting.show.figures.prompts import prompting
from crescent.reporting.show.figures.questions import diversity
from crescent.reporting.show.figures.relations import explanations
from crescent.reporting.show.figures.scores import accuracy
from crescent.reporting.show.figures.tokens import cost

ALL = (accuracy, differences, prompting, explanations, cost, diversity, votes, training)
"""In the order of the page."""

__all__ = [
    "ALL", "Figure", "accuracy", "cost", "differences", "diversity", "explanations", "prompting", "training", "votes",
]  # fmt: skip
