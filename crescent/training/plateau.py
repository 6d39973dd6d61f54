"""Early stopping on held-out pairs: `train.stop=plateau`. No gold answers: the pairs are the run's own.

In: examples; the steps so far with the held-out losses measured after some of them. Out: which examples are held out,
and which step is the best so far. What has been decided is a function of the steps, so a resumed run decides alike.
"""

import math
import random
from collections.abc import Sequence
from typing import TYPE_CHECKING

from crescent.core.errors import UserError
from crescent.core.records import TrainStep

if TYPE_CHECKING:
    from crescent.training.data import Example

HELD_OUT_LOSS = "held_out_loss"
"""The metric of a step after which the held-out loss was measured."""


def hold_out(examples: "Sequence[Example]", share: float, seed: int) -> "tuple[list[Example], list[Example]]":
    """(examples to train on, held-out examples). All examples of a question are on the same side. Raises UserError if
    there are too few questions to hold one out."""
    questions = list(dict.fromkeys(example.question_id for example in examples))
    if len(questions) < 2:
        raise UserError(
            f"train.stop=plateau holds pairs out, and there are pairs of {len(questions)} question(s) only; choose "
            "train.stop=never"
        )
    count = min(max(1, round(share * len(questions))), len(questions) - 1)
    held = set(sorted(questions, key=lambda name: random.Random(f"{seed}/held out/{name}").random())[:count])
    trained = [example for example in examples if example.question_id not in held]
    return trained, [example for example in examples if example.question_id in held]


def is_measured(step: int, steps: int, every: int) -> bool:
    """True if the held-out loss is measured after this step of a training of `steps` steps."""
    return step % every == 0 or step == steps


def best_step(curve: Sequence[TrainStep]) -> TrainStep | None:
    """The first step with the lowest held-out loss; None if it was never measured."""
    return min(_measured(curve), key=held_out_loss, default=None)


def is_plateau(curve: Sequence[TrainStep], patience: int) -> bool:
    """True if the last `patience` measurements brought no new minimum."""
    best = best_step(curve)
    return best is not None and sum(step.step > best.step for step in _measured(curve)) >= patience


def held_out_loss(step: TrainStep) -> float:
    """The loss measured after this step; infinite if none was."""
    return (step.metrics or {}).get(HELD_OUT_LOSS, math.inf)


def _measured(curve: Sequence[TrainStep]) -> list[TrainStep]:
    return [step for step in curve if step.metrics and HELD_OUT_LOSS in step.metrics]
