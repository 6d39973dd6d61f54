"""Selection: which of the voted pairs are trained on. Zero supervision."""

from crescent.selection.settings import Agreement, AllPairs, Chosen, Diverse, Selection

__all__ = ["Agreement", "AllPairs", "Chosen", "Diverse", "Selection"]
