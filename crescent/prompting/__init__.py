"""Prompting baselines: what a model can be brought to by words alone, without any training."""

from crescent.prompting.baselines import FewShot, Prompting, SelfConsistency, SelfRefine, Trigger

__all__ = ["FewShot", "Prompting", "SelfConsistency", "SelfRefine", "Trigger"]
