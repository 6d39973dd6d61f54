"""Contamination: generated questions that also occur in the evaluation sets are reported or dropped."""

from crescent.contamination.settings import Check, Contamination, Off

__all__ = ["Check", "Contamination", "Off"]
