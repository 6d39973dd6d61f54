"""Dedup strategies: what happens to a question that is too similar to a kept one.

In: the valid questions of one round, in order. Out: for each, whether it is kept, with which text, and why. A strategy
works only with `Tools`: an embedder, and a way to ask the model for rewrites in full batches. It knows no store and no
round but its own.
"""

from crescent.dedup.judging import Candidate, Dedup, Judge, Judged, Rewrite, Tools
from crescent.dedup.meaning import Drop, Rejection
from crescent.dedup.paper import Paper
from crescent.dedup.wording import Exact, KeepAll, MinHash

__all__ = [
    "Candidate", "Dedup", "Drop", "Exact", "Judge", "Judged", "KeepAll", "MinHash", "Paper", "Rejection", "Rewrite",
    "Tools",
]  # fmt: skip
