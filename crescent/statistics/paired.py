"""Paired differences of two evaluations: how certain is a difference?

In: values of the same questions under two models, from one seed or several, and groups of dependent questions. Out: the
difference with standard error, interval, p-value and minimum detectable effect. Pure: opens no file. Models are
compared question by question (Miller, arXiv 2411.00640, section 4), so that the difficulty of questions cancels out.

If values are 0 or 1, the interval is Tango's with the effective number of questions. Seeds are a second sample, crossed
with the questions: see `_variance`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from scipy.optimize import brentq

from crescent.statistics.intervals import difference_interval, share_interval

LEVEL = 0.95
POWER = 0.8
Correction = Literal["holm", "bh", "none"]
Interval = Literal["analytic", "bootstrap"]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over questions with its interval. `seeds` is 0 for a value that depends on no seed."""

    value: float
    stderr: float
    low: float
    high: float
    questions: int
    clusters: int
    seeds: int


@dataclass(frozen=True, slots=True)
class Spread:
    """The variance of a mean in two parts, each with its degrees of freedom: from questions, and from seeds."""

    questions: float
    questions_df: int
    seeds: float = 0.0
    seeds_df: int = 1

    @property
    def stderr(self) -> float:
        return float(np.sqrt(self.questions + self.seeds))

    def half_width(self, level: float) -> float:
        """Half the width of an interval: each part with its own t (modified large-sample; Graybill & Wang 1980)."""
        tail = (1 + level) / 2
        t_questions, t_seeds = stats.t.ppf(tail, self.questions_df), stats.t.ppf(tail, self.seeds_df)
        return float(np.sqrt(t_questions**2 * self.questions + t_seeds**2 * self.seeds))

    def quantile(self, level: float) -> float:
        """`half_width` in standard errors; if nothing varies, the t quantile for the questions alone."""
        if self.stderr == 0:
            return float(stats.t.ppf((1 + level) / 2, self.questions_df))
        return self.half_width(level) / self.stderr


@dataclass(frozen=True, slots=True)
class Difference:
    """A paired difference: mean, standard error, interval, two-sided p-value for no difference.

    `gained` and `lost` count questions that became right and wrong (means over seeds; 0 if values are not 0 or 1).
    `detectable` is the MDE: the smallest true difference that such a comparison finds with 80 % power at the 5 % level;
    `corrected_for` gives it at the level that a correction for several differences leaves.
    """

    value: float
    stderr: float
    low: float
    high: float
    p: float
    detectable: float
    gained: float
    lost: float
    questions: int
    clusters: int
    seeds: int
    spread: Spread

    def corrected_for(self, count: int) -> "Difference":
        """A copy with `detectable` at the level 5 % / `count`, which Holm requires of the smallest p-value."""
        here, there = (self.spread.quantile(1 - alpha) for alpha in (1 - LEVEL, (1 - LEVEL) / count))
        power = float(stats.norm.ppf(POWER))
        return replace(self, detectable=self.detectable * (there + power) / (here + power))


def paired_difference(
    after: ArrayLike, before: ArrayLike, clusters: Sequence[str] | None = None, level: float = LEVEL,
    interval: Interval = "analytic",
) -> Difference:  # fmt: skip
    """`after` - `before`, each [questions] or [seeds, questions]; a single seed of `before` is compared with every seed
    of `after`.

    `clusters` names each question's group of dependent questions (perturbations of one seed question). Raises
    ValueError for fewer than two groups, which cannot show how questions vary.
    """
    differences = _table(after) - _table(before)
    group = _groups(clusters, differences.shape[1])
    seeds, questions = differences.shape
    value = float(differences.mean())
    variance = _variance(differences, group)
    binary = bool(np.isin(differences, (-1, 0, 1)).all())
    gained, lost = float((differences > 0).sum(axis=1).mean()), float((differences < 0).sum(axis=1).mean())
    if binary:
        naive = ((gained + lost) / questions - value**2) / questions
        counted, quantile = _effective(naive, variance, differences, group, level)
        limits = difference_interval(gained / questions, lost / questions, counted, quantile)
    else:
        limits = (value - variance.half_width(level), value + variance.half_width(level))
    alone = _independent(differences, group)
    p = mcnemar(round(gained), round(lost)) if binary and alone else _p_value(value, variance)
    detectable = _detectable(limits, variance)
    if interval == "bootstrap":
        limits = bootstrap_interval(after, before, clusters, level)
    return Difference(
        value, variance.stderr, *limits, p, detectable, gained if binary else 0.0,
        lost if binary else 0.0, questions, int(group.max()) + 1, seeds, variance,
    )  # fmt: skip


def mean_estimate(values: ArrayLike, clusters: Sequence[str] | None = None, level: float = LEVEL) -> Estimate:
    """The mean of [questions] or [seeds, questions] with its interval (Wilson's if all values are 0 or 1)."""
    table = _table(values)
    group = _groups(clusters, table.shape[1])
    value, variance = float(table.mean()), _variance(table, group)
    if np.isin(table, (0, 1)).all():
        counted, quantile = _effective(value * (1 - value) / table.shape[1], variance, table, group, level)
        limits = share_interval(value, counted, quantile)
    else:
        limits = (value - variance.half_width(level), value + variance.half_width(level))
    return Estimate(value, variance.stderr, *limits, table.shape[1], int(group.max()) + 1, table.shape[0])


def score_estimate(values: Sequence[float], errors: Sequence[float], questions: int, level: float = LEVEL) -> Estimate:
    """The mean of scores, one per seed, if only their standard errors over `questions` are known."""
    value, spread = float(np.mean(values)), _score_spread(values, errors, questions)
    half = spread.half_width(level)
    return Estimate(value, spread.stderr, value - half, value + half, questions, questions, len(values))


def unpaired_difference(
    after: tuple[Sequence[float], Sequence[float]],
    before: tuple[Sequence[float], Sequence[float]],
    questions: int,
    level: float = LEVEL,
) -> Difference | None:
    """The difference of two scores, each (values, standard errors) over seeds, whose per-question values are unknown.

    Treats the questions as different and independent, so it is less certain. None if a standard error is 0 or missing:
    then no interval can be formed.
    """
    if not all((*after[1], *before[1])):
        return None
    value = float(np.mean(after[0]) - np.mean(before[0]))
    one, other = _score_spread(*after, questions), _score_spread(*before, questions)
    seeds_df = min((len(values) - 1 for values, _ in (after, before) if len(values) > 1), default=1)
    spread = Spread(one.questions + other.questions, one.questions_df, one.seeds + other.seeds, seeds_df)
    half = spread.half_width(level)
    limits = (value - half, value + half)
    return Difference(
        value, spread.stderr, *limits, _p_value(value, spread), _detectable(limits, spread), 0.0, 0.0, questions,
        questions, min(len(after[0]), len(before[0])), spread,
    )  # fmt: skip


def _score_spread(values: Sequence[float], errors: Sequence[float], questions: int) -> Spread:
    """All seeds answer the same questions, so the questions' part is not divided by the number of seeds; the seeds'
    part is.

    Slightly too wide: chance within one (seed, question) is in both parts.
    """
    between = float(np.var(values, ddof=1)) / len(values) if len(values) > 1 else 0.0
    return Spread(float(np.mean(np.square(errors))), max(questions - 1, 1), between, max(len(values) - 1, 1))


def mcnemar(gained: int, lost: int) -> float:
    """Exact two-sided p-value that among changed questions both directions are equally frequent (McNemar 1947)."""
    return float(stats.binomtest(min(gained, lost), gained + lost, 0.5).pvalue) if gained + lost else 1.0


def bootstrap_interval(
    after: ArrayLike,
    before: ArrayLike,
    clusters: Sequence[str] | None = None,
    level: float = LEVEL,
    resamples: int = 9999,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile limits of the paired difference over resampled groups of questions, with the seeds fixed."""
    differences = (_table(after) - _table(before)).mean(axis=0)
    group = _groups(clusters, len(differences))
    sums, sizes = np.bincount(group, weights=differences), np.bincount(group).astype(float)

    def ratio(sums: NDArray[np.float64], sizes: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
        return sums.sum(axis=axis) / sizes.sum(axis=axis)

    found = stats.bootstrap(
        (sums, sizes), ratio, n_resamples=resamples, batch=500, paired=True, vectorized=True, confidence_level=level,
        method="percentile", rng=np.random.default_rng(seed),
    )  # fmt: skip
    return float(found.confidence_interval.low), float(found.confidence_interval.high)


def adjust(p_values: Sequence[float], correction: Correction = "holm") -> list[float]:
    """p-values corrected for their number.

    `holm` bounds the chance of any false finding (Holm 1979), `bh` the expected share of false findings among all
    findings (Benjamini & Hochberg 1995).
    """
    if correction == "none" or not p_values:
        return list(p_values)
    from statsmodels.stats.multitest import multipletests

    method = {"holm": "holm", "bh": "fdr_bh"}[correction]
    found: Any = multipletests(np.asarray(p_values), method=method)
    return [float(value) for value in found[1]]


def _variance(table: NDArray[np.float64], group: NDArray[np.intp]) -> Spread:
    """The variance of the mean of [seeds, questions], with groups of questions and seeds both drawn at random.

    Groups enter as sums of their deviations from the mean (cluster-robust: Miller, equation 4). With one seed the
    result is the cluster-robust variance with the factor G / (G - 1); the variation over seeds is then unknown and not
    included. With several, groups x seeds is a crossed two-way layout without replication, whose mean has the variance
    (MS_groups + MS_seeds - MS_rest) / cells (method of moments; Hillis 2014 for readers x cases), with MS_seeds -
    MS_rest at least 0. The two-way cluster-robust estimator (Cameron, Gelbach & Miller 2011) is not used: with S seeds
    it misses 1/S of the variance between questions.
    """
    seeds, questions = table.shape
    count = int(group.max()) + 1
    if count < 2:
        raise ValueError(f"{questions} questions in {count} group: a standard error needs at least two groups")
    deviations = table - table.mean()
    sums = np.stack([np.bincount(group, weights=row, minlength=count) for row in deviations])  # [seeds, groups]
    scale = count * seeds / (questions * seeds) ** 2
    by_group, by_seed = sums.mean(axis=0), sums.mean(axis=1)
    ms_groups = seeds * float((by_group**2).sum()) / (count - 1)
    if seeds == 1:
        return Spread(scale * ms_groups, count - 1)
    ms_seeds = count * float((by_seed**2).sum()) / (seeds - 1)
    rest = sums - by_group[None, :] - by_seed[:, None]
    ms_rest = float((rest**2).sum()) / ((count - 1) * (seeds - 1))
    return Spread(scale * ms_groups, count - 1, scale * max(ms_seeds - ms_rest, 0.0), seeds - 1)


def _effective(
    naive: float, variance: Spread, table: NDArray[np.float64], group: NDArray[np.intp], level: float
) -> tuple[float, float]:
    """The effective number of independent questions, n / design effect (Rao & Scott 1992), and the quantile to use.

    Score intervals of independent questions use the normal quantile; an estimated design effect requires t.
    """
    if _independent(table, group):
        return float(table.shape[1]), float(stats.norm.ppf((1 + level) / 2))
    total = variance.stderr**2
    counted = table.shape[1] * naive / total if naive > 0 and total > 0 else float(group.max()) + 1
    return counted, variance.quantile(level)


def _independent(table: NDArray[np.float64], group: NDArray[np.intp]) -> bool:
    """True for one seed with each question in its own group."""
    return len(table) == 1 and int(group.max()) + 1 == table.shape[1]


def _p_value(value: float, variance: Spread) -> float:
    """The p-value: the level at which the interval just reaches 0."""
    if value == 0 or variance.stderr == 0:
        return 1.0 if value == 0 else 0.0

    def reach(log_p: float) -> float:
        return variance.half_width(1 - 10**log_p) - abs(value)

    smallest = -15.0  # below it, 1 - p rounds to 1 in double precision
    found: Any = brentq(reach, smallest, 0.0) if reach(smallest) > 0 else smallest
    return float(10**found)


def _detectable(limits: tuple[float, float], variance: Spread) -> float:
    """The MDE: half the interval plus as many standard errors as the power requires."""
    half = (limits[1] - limits[0]) / 2
    return half * (1 + float(stats.norm.ppf(POWER)) / variance.quantile(LEVEL))


def _table(values: ArrayLike) -> NDArray[np.float64]:
    table = np.atleast_2d(np.asarray(values, dtype=np.float64))
    assert table.ndim == 2 and table.shape[1], table.shape
    return table


def _groups(clusters: Sequence[str] | None, questions: int) -> NDArray[np.intp]:
    """Each question's group as a number from 0; without clusters each question is its own group."""
    if clusters is None:
        return np.arange(questions)
    assert len(clusters) == questions, (len(clusters), questions)
    return np.unique(np.asarray(clusters), return_inverse=True)[1]
