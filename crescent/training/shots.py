"""Pairs behind other pairs of the run as earlier turns: `retain=shots`.

In: pairs that can be trained on, and their examples. Out: the examples, a seeded share of them with earlier turns, as
worked examples are shown in evaluation. Whether a pair is in the share depends only on the seed and the pair.
"""

import random
from collections.abc import Callable, Sequence
from typing import TypeVar

from crescent.answers.thoughts import split_thoughts
from crescent.core.records import QAPair
from crescent.training.retention import Retention
from crescent.training.targets import Turns

T = TypeVar("T")
Encode = Callable[[Sequence[tuple[QAPair, Turns]]], Sequence[T | None]]
"""Encodes pairs after earlier turns; None for those that cannot be trained on like that."""


def behind_others(
    examples: Sequence[T], pairs: Sequence[QAPair], retain: Retention, seed: int, encode: Encode[T]
) -> tuple[list[T], int]:
    """(the examples, how many of them have earlier turns). `examples[i]` is that of `pairs[i]`."""
    made, done = list(examples), 0
    turns = {place: found for place, pair in enumerate(pairs) if (found := _earlier(pair, pairs, retain, seed))}
    for shots in range(retain.shots, 0, -1):  # fewer for those that are too long
        places = [place for place in turns if len(turns[place]) >= shots]
        encoded = encode([(pairs[place], turns[place][:shots]) for place in places])
        for place, one in zip(places, encoded, strict=True):
            if one is not None:
                made[place] = one
                done += 1
                del turns[place]
    return made, done


def _earlier(pair: QAPair, pairs: Sequence[QAPair], retain: Retention, seed: int) -> Turns:
    """Other pairs as turns; none if this pair is not in the share."""
    chance = random.Random(f"{seed}/shots/{pair.question_id}/{pair.response}")
    if chance.random() >= retain.share:
        return ()
    drawn = chance.sample(range(len(pairs)), min(len(pairs), 4 * retain.shots + 4))  # more, as a question may recur
    others = {pairs[place].question_id: pairs[place] for place in drawn if pairs[place].question_id != pair.question_id}
    chosen = list(others.values())[: retain.shots]
    return tuple((one.question, split_thoughts(one.response).answer.strip()) for one in chosen)
