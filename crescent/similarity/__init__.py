"""How alike two questions are: texts become unit vectors, a pool knows what was kept, a threshold decides.

In: texts. Out: cosines (-1 to 1, rounded to 4 decimals so that a decision on a threshold does not depend on the order
in which floats were added). `Embedder` is the one part that holds a model; it loads it at the first text it is given.
"""

from crescent.similarity.embedding import Embedder, EmbedderSettings
from crescent.similarity.masking import mask_numbers
from crescent.similarity.pool import Admission, Pool, unit_rows
from crescent.similarity.words import words_of

__all__ = ["Admission", "Embedder", "EmbedderSettings", "Pool", "mask_numbers", "unit_rows", "words_of"]
