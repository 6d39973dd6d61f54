"""Score intervals for shares and for paired differences of shares, with an effective number of questions.

In: shares, an effective number of questions, a quantile. Out: limits. Unlike mean plus or minus errors, they stay
within the possible range and keep a width if no question changed. `paired.py` computes the effective number.
"""

import math
from typing import Any

from scipy.optimize import brentq

EDGE = 1 - 1e-9


def share_interval(share: float, questions: float, quantile: float) -> tuple[float, float]:
    """Wilson's interval of a share (1927; Brown, Cai & DasGupta 2001, equation 4).

    `questions` need not be a whole number: correlated questions count for less (Rao & Scott 1992).
    """
    square = quantile**2
    centre = (share + square / (2 * questions)) / (1 + square / questions)
    inside = share * (1 - share) / questions + square / (4 * questions**2)
    half = quantile * math.sqrt(max(inside, 0.0)) / (1 + square / questions)
    return max(0.0, centre - half), min(1.0, centre + half)


def difference_interval(gained: float, lost: float, questions: float, quantile: float) -> tuple[float, float]:
    """Tango's score interval of `gained` - `lost` (Statistics in Medicine 17, 1998, section 3).

    `gained` and `lost` are the shares of questions that became right and wrong.
    """
    value = gained - lost

    def distance(difference: float, target: float) -> float:
        """Standard errors between this true difference and the observed one, computed under it, minus `target`."""
        linear = -(gained + lost) + (2 - value) * difference
        root = math.sqrt(max(linear**2 + 8 * lost * difference * (1 - difference), 0.0))
        nuisance = (root - linear) / 4
        variance = (2 * nuisance + difference * (1 - difference)) / questions
        return (value - difference) / math.sqrt(max(variance, 1e-15)) - target

    def limit(target: float, inner: float, outer: float) -> float:
        if distance(inner, target) * distance(outer, target) > 0:
            return outer  # no possible difference is that far away
        found: Any = brentq(distance, inner, outer, args=(target,), xtol=1e-10)
        return float(found)

    low = limit(quantile, value, -EDGE)
    high = limit(-quantile, value, EDGE)
    return low, high
