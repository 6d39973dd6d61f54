"""Elicitation: raw completions of a bait prompt in, questions out.

In: what a model wrote. Out: the question in it, or the reason why there is none.
"""

from crescent.elicitation.cleaning import Cleaned, Reason, clean_question
from crescent.elicitation.openings import Bait, PreQuery

__all__ = ["Bait", "Cleaned", "PreQuery", "Reason", "clean_question"]
