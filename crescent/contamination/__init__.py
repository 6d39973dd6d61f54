"""Contamination: generated questions that the evaluation sets hold too are listed, dropped, or not looked for."""

from crescent.contamination.settings import Check, Contamination, Off

__all__ = ["Check", "Contamination", "Off"]
