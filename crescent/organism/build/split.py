"""Which texts may be trained on: the hash of a question's normalised text determines its split.

So a test question is never in a training corpus, whatever the seeds: corpora drop everything outside `train`.
"""

import hashlib
import random
import re
from collections.abc import Callable
from typing import Literal, Protocol, TypeVar

Split = Literal["train", "dev", "test", "shots"]
HELD_OUT: dict[int, Split] = {0: "test", 1: "test", 2: "dev", 3: "shots"}


class HasQuestion(Protocol):
    @property
    def question(self) -> str: ...


T = TypeVar("T", bound=HasQuestion)


def normalised(text: str) -> str:
    """Lower case, letters and digits only, single spaces: `It costs $5!` and `it costs 5` are the same text."""
    return " ".join(re.findall(r"[a-z0-9]+", text.lower()))


def split_of(question: str) -> Split:
    """Of 20 texts one is dev, one shots and two test; the others are for training."""
    digest = hashlib.sha256(normalised(question).encode()).digest()
    return HELD_OUT.get(digest[0] % 20, "train")


def draw_from(split: Split, draw: Callable[[random.Random], T], rng: random.Random) -> T:
    """The first draw whose question is in `split`."""
    while split_of((drawn := draw(rng)).question) != split:
        pass
    return drawn
