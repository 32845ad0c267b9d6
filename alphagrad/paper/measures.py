"""What is measured of each run of an arm: one number a run, which claims and tables compare."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from alphagrad.paper.arms import ArmResult, Array
from alphagrad.paper.statistics import drawdown

Measure = Callable[[ArmResult], Array]

KL = "losses/approx_kl"
"""The metric of how far an update of PPO moves its policy."""

ESCAPED = 2_800.0
"""HalfCheetah's return from which a run counts as one of the few that find the faster gait."""


def value(arm: ArmResult) -> Array:
    """The score of each run."""
    return arm.values


def escaped(arm: ArmResult) -> Array:
    """1 for each run that ends at `ESCAPED` or above, 0 for the others."""
    return np.asarray(arm.values >= ESCAPED, float)


def peak(arm: ArmResult) -> Array:
    """The highest evaluation of each run."""
    return np.asarray(arm.returns[1].max(1))


def over_training(arm: ArmResult) -> Array:
    """The mean of all evaluations of each run: who learns faster has more, whatever the end."""
    return np.asarray(arm.returns[1].mean(1))


def fall(arm: ArmResult) -> Array:
    """The deepest drawdown of each run."""
    return np.array([drawdown(curve) for curve in arm.returns[1]])


def fall_share(arm: ArmResult) -> Array:
    """The deepest drawdown of each run as a share of its highest evaluation."""
    return fall(arm) / peak(arm)


def early(arm: ArmResult) -> Array:
    """Mean return of each run's first fifth."""
    returns = arm.returns[1]
    return np.asarray(returns[:, : max(returns.shape[1] // 5, 1)].mean(1))


def late_metric(name: str, share: float = 0.25) -> Measure:
    """The mean of a metric over the last part of each run."""

    def measure(arm: ArmResult) -> Array:
        table = arm.series(name)[1]
        return np.asarray(table[:, -max(int(table.shape[1] * share), 1) :].mean(1))

    return measure


def steepness(arm: ArmResult, layer: str, size: int) -> tuple[Array, Array]:
    """The steps, and the median over runs of k = α/√d in a layer of `size` entries."""
    steps, alphas = arm.series(f"alpha/{layer}")
    return steps, np.median(alphas, axis=0) / np.sqrt(size)
