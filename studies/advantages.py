"""Generalised advantage estimation (Schulman et al., 2016)."""

import numpy as np
from numpy.typing import NDArray

from alphagrad.studies.discount import discounted_sums
from alphagrad.studies.flat_parameters import Array


def advantages(
    rewards: Array,
    values: Array,
    next_values: Array,
    ends: NDArray[np.bool_],
    *,
    gamma: float,
    gae_lambda: float,
) -> Array:
    """Estimates how much better each action was than the policy's average.

    Args:
        rewards: shape (agents, steps, environments).
        values: of the states acted in, likewise.
        next_values: of the states reached, likewise; 0 where the task has ended there.
        ends: where an episode has ended with this step, at a time limit too.
        gamma: discount.
        gae_lambda: decay of what later steps tell.

    Returns:
        The same shape.

    Example:
        >>> ones, none = np.ones((1, 3, 1), np.float32), np.zeros((1, 3, 1), np.float32)
        >>> ends = np.array([[[True], [False], [True]]])
        >>> advantages(ones, none, none, ends, gamma=0.5, gae_lambda=1.0).ravel().tolist()
        [1.0, 1.5, 1.0]
    """
    surprises = (rewards + gamma * next_values - values)[:, ::-1].astype(np.float64)
    # Backwards, a sum starts anew after the step that follows an end.
    restarts = np.roll(ends[:, ::-1], -1, axis=1)
    sums = discounted_sums(surprises, restarts, decay=gamma * gae_lambda)
    return sums[:, ::-1].astype(np.float32)
