"""Sources of training pairs: the model's own questions, data of the user, or a baseline that starts from seed data."""

from crescent.sources.context import Source
from crescent.sources.given import GivenPairs, GivenQuestions
from crescent.sources.seeded import AnswerAugmentation, MetaMath, Rephrase, Seeded, SeedGold, TeacherAnswers
from crescent.sources.self_generated import SelfGenerated

__all__ = [
    "AnswerAugmentation",
    "GivenPairs",
    "GivenQuestions",
    "MetaMath",
    "Rephrase",
    "SeedGold",
    "Seeded",
    "SelfGenerated",
    "Source",
    "TeacherAnswers",
]  # fmt: skip
