"""Discounted sums along episodes."""

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

Float64 = NDArray[np.float64]


def discounted_sums(values: Float64, ends: NDArray[np.bool_], *, decay: float) -> Float64:
    """Sums up each step's value and what came before in its episode, decayed step by step.

    Args:
        values: shape (agents, steps, environments); before the first step there was nothing.
        ends: where an episode has ended with this step, likewise.
        decay: what a step's sum is multiplied by in the next.

    Returns:
        Float64 of the same shape.

    Example:
        >>> ones, ends = np.ones((1, 4, 1)), np.zeros((1, 4, 1), bool)
        >>> ends[0, 1] = True
        >>> discounted_sums(ones, ends, decay=0.5).ravel().tolist()
        [1.0, 1.5, 1.0, 1.5]
    """
    sums = np.empty(values.shape)
    agents, steps, environments = values.shape
    for agent in range(agents):
        for environment in range(environments):
            cuts = np.flatnonzero(ends[agent, :, environment]) + 1
            for start, stop in zip([0, *cuts], [*cuts, steps], strict=True):
                part = (agent, slice(start, stop), environment)
                sums[part] = lfilter([1.0], [1.0, -decay], values[part])
    return sums
