"""The numbers by which arms are judged, each with the interval that few seeds leave it.

Interquartile mean, stratified bootstrap and probability of improvement follow Agarwal et al., "Deep
Reinforcement Learning at the Edge of the Statistical Precipice" (2021).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import PermutationMethod, bootstrap, mannwhitneyu, trim_mean

RESAMPLES = 2_000
LEVEL = 0.95
COLLAPSED = 0.5
"""A run has collapsed when it ends below this share of the way from its worst to its best."""

Array = NDArray[np.float64]


class Estimate(NamedTuple):
    """A number and its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


def iqm(values: ArrayLike, axis: int = -1) -> Any:
    """Mean of the middle half: as robust as a median, of less variance.

    Example:
        >>> float(iqm([0.0, 1.0, 2.0, 100.0]))
        1.5
    """
    return trim_mean(values, 0.25, axis=axis)


def improvement(ours: ArrayLike, theirs: ArrayLike, axis: int = -1) -> Any:
    """Probability that a run of ours ends higher than one of theirs; a tie counts half.

    Example:
        >>> float(improvement([1.0, 3.0], [0.0, 2.0]))
        0.75
    """
    first, second = np.asarray(ours, float), np.asarray(theirs, float)
    pairs = np.moveaxis(first, axis, -1)[..., :, None] - np.moveaxis(second, axis, -1)[..., None, :]
    return (np.sign(pairs) + 1).mean((-2, -1)) / 2


def ratio_of_iqms(ours: ArrayLike, theirs: ArrayLike, axis: int = -1) -> Any:
    """Our interquartile mean as a share of theirs."""
    return iqm(ours, axis) / iqm(theirs, axis)


def estimate(statistic: Callable[..., Any], *samples: Sequence[float] | Array) -> Estimate:
    """A statistic of one or more samples with its percentile bootstrap interval.

    The same samples give the same interval. Of a single run nothing is known about the spread, so
    its interval is NaN.

    Args:
        statistic: takes the samples and `axis`.
        samples: the values of the runs of each arm, drawn from independently.

    Example:
        >>> found = estimate(iqm, [1.0, 2.0, 3.0, 4.0])
        >>> found.low < found.value < found.high
        True
    """
    arrays = [np.asarray(sample, float) for sample in samples]
    value = float(statistic(*arrays, axis=-1))
    if min(len(array) for array in arrays) < 2:
        return Estimate(value, np.nan, np.nan)
    interval = bootstrap(
        arrays,
        statistic,
        n_resamples=RESAMPLES,
        confidence_level=LEVEL,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return Estimate(value, float(interval.low), float(interval.high))


def chance(ours: Sequence[float] | Array, theirs: Sequence[float] | Array) -> float:
    """The two-sided p of the permutation test that neither sample is higher, by the U statistic.

    Exact for few runs, and the same for the same samples.

    Example:
        >>> round(chance([4.0, 5.0, 6.0], [1.0, 2.0, 3.0]), 3)
        0.1
    """
    method = PermutationMethod(n_resamples=9_999, rng=np.random.default_rng(0))
    return float(mannwhitneyu(ours, theirs, method=method).pvalue)


def drawdown(curve: ArrayLike) -> float:
    """The deepest fall of a learning curve below what it had reached before, in its own units.

    Example:
        >>> drawdown([0.0, 10.0, 4.0, 12.0, 11.0])
        6.0
    """
    returns = np.asarray(curve, float)
    return float((np.maximum.accumulate(returns) - returns).max())


def collapsed(curve: ArrayLike) -> bool:
    """Whether a run ends below half of the way from its worst evaluation to its best.

    Example:
        >>> collapsed([0.0, 100.0, 40.0]), collapsed([0.0, 100.0, 60.0])
        (True, False)
    """
    returns = np.asarray(curve, float)
    low, high = returns.min(), returns.max()
    return bool(high > low and (returns[-1] - low) / (high - low) < COLLAPSED)
