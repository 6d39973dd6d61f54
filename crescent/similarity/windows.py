"""Splits long texts into windows: an embedder reads only about 256 tokens and would ignore the rest.

In: texts, or vectors of windows. Out: the tokens of each window with the row of its text; vectors of texts. A text that
fits is one window, with its vector. A longer text is cut into as few windows as possible, of equal length because a
short last window would weigh as much as the others; its vector is their mean.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crescent.similarity.pool import unit_rows

Fields = dict[str, Any]
"""A model's input for one window: input_ids, attention_mask ..."""
Batch = tuple[list[int], NDArray[np.float32]]
"""Row indices, and their vectors."""


def windows(tokenizer: Any, texts: Sequence[str], longest: int) -> list[tuple[int, Fields]]:
    """(row of its text, its fields) for each window of at most `longest` tokens, texts and windows in order.

    A tokenizer written in Python cannot split into windows; with one, only the beginning of each text is read.
    """
    if not tokenizer.is_fast:
        tokens = tokenizer(list(texts), truncation=True, max_length=longest)
        return [(row, {name: tokens[name][row] for name in tokens}) for row in range(len(texts))]
    added, found = tokenizer.num_special_tokens_to_add(), []
    for row, parts in groupby(_cut(tokenizer, texts, longest), key=lambda window: window[0]):
        own = list(parts)
        if len(own) > 1:
            tokens = sum(len(fields["input_ids"]) - added for _, fields in own)
            equal = _cut(tokenizer, [texts[row]], added + -(-tokens // len(own)))
            own = [(row, fields) for _, fields in equal]
        found += own
    return found


def of_texts(rows: Sequence[int], made: Iterable[Batch]) -> Iterator[Batch]:
    """Combines batches of window vectors into batches of text vectors; `rows` maps each window to its text."""
    counts = Counter(rows)
    waiting: dict[int, dict[int, NDArray[np.float32]]] = defaultdict(dict)
    for places, vectors in made:
        whole = [at for at, place in enumerate(places) if counts[rows[place]] == 1]
        if whole:
            yield [rows[places[at]] for at in whole], vectors[whole]
        for place, vector in zip(places, vectors, strict=True):
            row = rows[place]
            if counts[row] == 1:
                continue
            waiting[row][place] = vector
            if len(waiting[row]) == counts[row]:
                parts = waiting.pop(row)
                yield [row], unit_rows(np.stack([parts[at] for at in sorted(parts)])).mean(0, keepdims=True)


def _cut(tokenizer: Any, texts: Sequence[str], longest: int) -> list[tuple[int, Fields]]:
    tokens = tokenizer(list(texts), truncation=True, max_length=longest, return_overflowing_tokens=True)
    rows = tokens.pop("overflow_to_sample_mapping")
    return [(int(row), {name: tokens[name][at] for name in tokens}) for at, row in enumerate(rows)]
