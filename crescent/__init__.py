"""Crescent: language models that improve themselves with zero external supervision.

Importing the package does nothing. Read `pipeline.py` first: `run` is the whole method, from top to bottom.
"""

__version__ = "0.1.0"
