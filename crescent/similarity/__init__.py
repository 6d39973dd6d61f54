"""Similarity of questions: texts become unit vectors, and a pool finds nearest neighbours among the kept ones.

In: texts. Out: cosines (-1 to 1, rounded to 4 decimals so that a threshold decision does not depend on the order of
float additions). Only `Embedder` holds a model; it loads it when it gets its first text.
"""

from crescent.similarity.embedding import Embedder, EmbedderSettings
from crescent.similarity.masking import mask_numbers
from crescent.similarity.pool import Admission, Pool, unit_rows
from crescent.similarity.words import words_of

__all__ = ["Admission", "Embedder", "EmbedderSettings", "Pool", "mask_numbers", "unit_rows", "words_of"]
