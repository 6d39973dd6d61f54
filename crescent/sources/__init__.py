"""Where training pairs come from: the model's own questions, or a baseline that begins with seed data."""

from crescent.sources.context import Source
from crescent.sources.seeded import AnswerAugmentation, MetaMath, Rephrase, Seeded, SeedGold, TeacherAnswers
from crescent.sources.self_generated import SelfGenerated

__all__ = [
    "AnswerAugmentation",
    "MetaMath",
    "Rephrase",
    "SeedGold",
    "Seeded",
    "SelfGenerated",
    "Source",
    "TeacherAnswers",
]  # fmt: skip
