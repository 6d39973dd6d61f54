"""Learning rates for `train.learning_rate: auto`, by training method and model size.

In: a table of usual rates and a number of parameters. Out: the usual rate for that size. Each names the published
settings it is based on; docs/training.md lists them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

FAR_ABOVE = 4.0
"""A learning rate this many times the usual one or more gives a warning: published rates for one size differ by up to
that factor."""


@dataclass(frozen=True, slots=True)
class UsualRate:
    """A learning rate for models of fewer than `below` parameters, and where it was published."""

    below: float
    learning_rate: float
    source: str


ADAPTERS = (
    UsualRate(10e6, 2e-4, "chosen on the organism's dev split (experiments/LOG.md, study 0)"),
    UsualRate(15e9, 2e-4, "QLoRA up to 13B (arXiv 2305.14314); Zephyr-7B SFT with QLoRA (alignment-handbook)"),
    UsualRate(float("inf"), 1e-4, "QLoRA above 13B (arXiv 2305.14314)"),
)
WHOLE_MODELS = (
    UsualRate(10e6, 3e-4, "ours, for the organism"),
    UsualRate(2e9, 3e-4, "SmolLM2-1.7B SFT (alignment-handbook); the 135M and 360M were trained at 1e-3"),
    UsualRate(15e9, 1e-5, "between Tülu 3 8B (5e-6, arXiv 2411.15124) and Zephyr-7B SFT (2e-5, alignment-handbook)"),
    UsualRate(float("inf"), 2e-6, "Tülu 3 70B (arXiv 2411.15124)"),
)

PREFERENCES = (
    UsualRate(10e6, 2e-4, "ours, for the organism: that of objective=sft"),
    UsualRate(float("inf"), 5e-6, "Zephyr-7B DPO with QLoRA (alignment-handbook)"),
)


def usual_rate(table: Sequence[UsualRate], parameters: int) -> UsualRate:
    """The rate of `table` for a model of `parameters` parameters."""
    return next(usual for usual in table if parameters < usual.below)


def warning(chosen: float, usual: UsualRate, parameters: int) -> str | None:
    """A one-line warning if `chosen` is far above the usual rate, else None."""
    rate = usual.learning_rate
    if chosen < FAR_ABOVE * rate:
        return None
    return (
        f"train.learning_rate={chosen:g} is {chosen / rate:.0f} times the usual {rate:g} for a model of "
        f"{readable(parameters)} parameters ({usual.source}): models trained at such rates tend to forget. Leave "
        "train.learning_rate=auto unless you mean it"
    )


def readable(parameters: int) -> str:
    """Formats 2,113,728 as "2.1 M"."""
    for unit, size in (("B", 1e9), ("M", 1e6)):
        if parameters >= size:
            return f"{parameters / size:.1f} {unit}"
    return f"{parameters:,}"
