"""The learning rate over a run: a linear warm-up, then one of three shapes.

In: the step and the number of steps. Out: a factor from 0 to 1 on the peak learning rate. Pure.
"""

import math
from collections.abc import Callable

SCHEDULES: dict[str, Callable[[float], float]] = {
    "cosine": lambda progress: 0.5 * (1 + math.cos(math.pi * progress)),
    "linear": lambda progress: 1 - progress,
    "constant": lambda progress: 1.0,
}
"""Maps progress after the warm-up, from 0 to 1, to the factor."""


def rate_factor(step: int, steps: int, warmup_ratio: float, schedule: str) -> float:
    """The factor for `step`, counted from 0. Neither the first nor the last step has factor 0, so every step trains."""
    warmup = math.ceil(warmup_ratio * steps)
    if step < warmup:
        return (step + 1) / warmup
    return SCHEDULES[schedule]((step - warmup) / max(1, steps - warmup))
