"""Crescent: language models that improve themselves with zero external supervision.

The package does nothing at import. Read `experiment.py` first: it composes the six stages from top to bottom.
"""

__version__ = "0.1.0"
