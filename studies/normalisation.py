"""Running normalisation of observations, as gymnasium's wrapper does it for one, and of rewards."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from alphagrad.studies.discount import discounted_sums

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

EPSILON = 1e-8
BOUND = 10.0  # what is normalised is clipped to ±10, as in CleanRL
FIRST_COUNT = 1e-4  # of a mean of 0 and a variance of 1, before anything is seen


class ObservationNorm:
    """Subtracts the running mean of the observations and divides by their running deviation.

    Each environment of each agent has statistics of its own, as with a wrapper around each.

    Args:
        shape: (agents, environments, numbers in an observation).

    Example:
        >>> norm = ObservationNorm((1, 1, 2))
        >>> for x in (1.0, 2.0, 3.0):
        ...     out = norm.update(np.full((1, 1, 2), x, np.float32))
        >>> out.astype(float).round(2).tolist()
        [[[1.22, 1.22]]]
    """

    def __init__(self, shape: tuple[int, int, int]) -> None:
        self._count = FIRST_COUNT
        self._mean: Float64 = np.zeros(shape)
        self._squares: Float64 = np.full(shape, FIRST_COUNT)  # of deviations, summed
        self._low, self._high = np.full(shape, -BOUND), np.full(shape, BOUND)

    def update(self, observations: Float32) -> Float32:
        """Takes account of one observation from each environment, and normalises it.

        Args:
            observations: shape (agents, environments, numbers).

        Returns:
            The same shape, within ±10.
        """
        self._count += 1
        seen = observations.astype(np.float64)  # numpy is slow at sums of two precisions
        apart = seen - self._mean
        self._mean += apart / self._count
        rest = seen - self._mean
        apart *= rest
        self._squares += apart
        return self._scaled(rest, self._squares, self._low, self._high)

    def __call__(self, observation: Float32, *, agent: int, environment: int) -> Float32:
        """Normalises an observation of one environment, and takes no account of it."""
        rest = observation - self._mean[agent, environment]
        bounds = self._low[agent, environment], self._high[agent, environment]
        return self._scaled(rest, self._squares[agent, environment], *bounds)

    def _scaled(self, rest: Float64, squares: Float64, low: Float64, high: Float64) -> Float32:
        variance = squares / self._count
        variance += EPSILON
        rest /= np.sqrt(variance, out=variance)
        np.maximum(rest, low, out=rest)
        np.minimum(rest, high, out=rest)
        return rest.astype(np.float32)

    def state_dict(self, agent: int) -> dict[str, Any]:
        """Gives a copy of one agent's statistics."""
        return {
            "count": self._count,
            "mean": torch.from_numpy(self._mean[agent].copy()),
            "squares": torch.from_numpy(self._squares[agent].copy()),
        }

    def load_state_dict(self, state: Mapping[str, Any], agent: int) -> None:
        """Takes over what `state_dict` gave; the counts of all agents must agree."""
        self._count = state["count"]
        self._mean[agent] = state["mean"].numpy()
        self._squares[agent] = state["squares"].numpy()


class RewardNorm:
    """Divides rewards by the running deviation of the discounted return.

    The return begins anew after an end. gymnasium's wrapper forgets it before the step that ends
    the task, so that this step's reward goes into the next episode's, and at no time limit.

    Args:
        shape: (agents, environments).
        gamma: discount.
        forgets_before: as gymnasium does it, where `ends` are those of the task (default: False).
    """

    def __init__(
        self, shape: tuple[int, int], *, gamma: float, forgets_before: bool = False
    ) -> None:
        self._gamma, self._forgets_before = gamma, forgets_before
        self._count = FIRST_COUNT
        self._sum: Float64 = np.zeros(shape)
        self._squares: Float64 = np.full(shape, FIRST_COUNT)
        self._returns: Float64 = np.zeros(shape)

    def update(self, rewards: Float64, ends: NDArray[np.bool_]) -> Float32:
        """Normalises a rollout's rewards, each by what was known at its step.

        Args:
            rewards: shape (agents, steps, environments).
            ends: where an episode has ended with this step, likewise.

        Returns:
            The same shape, within ±10.
        """
        if self._forgets_before:
            self._returns = self._returns * ~ends[:, 0]
            ends = np.concatenate([ends[:, 1:], np.zeros_like(ends[:, :1])], axis=1)
        # What the episodes under way have summed up so far goes on as a part of the first reward.
        before = rewards.copy()
        before[:, 0] += self._gamma * self._returns
        returns = discounted_sums(before, ends, decay=self._gamma)
        self._returns = returns[:, -1] * ~ends[:, -1]
        counts = self._count + np.arange(1, rewards.shape[1] + 1)[None, :, None]
        sums = self._sum[:, None] + returns.cumsum(1)
        squares = self._squares[:, None] + np.square(returns).cumsum(1)
        self._count, self._sum, self._squares = counts[0, -1, 0], sums[:, -1], squares[:, -1]
        deviations = np.sqrt(squares / counts - np.square(sums / counts) + EPSILON)
        scaled: Float32 = (rewards / deviations).clip(-BOUND, BOUND).astype(np.float32)
        return scaled

    def state_dict(self, agent: int) -> dict[str, Any]:
        """Gives a copy of one agent's statistics."""
        return {
            "count": float(self._count),
            "sum": torch.from_numpy(self._sum[agent].copy()),
            "squares": torch.from_numpy(self._squares[agent].copy()),
            "returns": torch.from_numpy(self._returns[agent].copy()),
        }

    def load_state_dict(self, state: Mapping[str, Any], agent: int) -> None:
        """Takes over what `state_dict` gave; the counts of all agents must agree."""
        self._count = state["count"]
        self._sum[agent] = state["sum"].numpy()
        self._squares[agent] = state["squares"].numpy()
        self._returns[agent] = state["returns"].numpy()
