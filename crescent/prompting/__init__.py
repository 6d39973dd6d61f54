"""Prompting baselines: how much better a model scores with other prompts, without any training."""

from crescent.prompting.baselines import FewShot, Prompting, SelfConsistency, SelfRefine, Trigger

__all__ = ["FewShot", "Prompting", "SelfConsistency", "SelfRefine", "Trigger"]
