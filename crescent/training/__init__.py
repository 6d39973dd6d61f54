"""Fine-tuning of a model on question-and-response pairs."""

from crescent.training.batching import Packed, Padded
from crescent.training.methods import Full, Lora, QLora
from crescent.training.objective import Dpo, Sft
from crescent.training.retention import Anchor, NoRetention, Shots
from crescent.training.settings import TrainSettings

__all__ = [
    "Anchor", "Dpo", "Full", "Lora", "NoRetention", "Packed", "Padded", "QLora", "Sft", "Shots", "TrainSettings",
]  # fmt: skip
