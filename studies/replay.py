"""A replay buffer: the latest transitions of an environment, sampled uniformly."""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class Batch(NamedTuple):
    """Transitions drawn from a buffer; the first dimension of each tensor is the batch.

    Attributes:
        observations: float32, (batch, observation size).
        next_observations: float32, (batch, observation size).
        actions: int64, (batch, 1), as `Tensor.gather` wants them.
        rewards: float32, (batch,).
        terminated: float32, (batch,): 1 where the next state is the task's end.
    """

    observations: Tensor
    next_observations: Tensor
    actions: Tensor
    rewards: Tensor
    terminated: Tensor


class ReplayBuffer:
    """A ring of transitions in numpy arrays, which are faster than tensors to write one by one.

    Args:
        capacity: transitions kept; the oldest are overwritten.
        observation_size: numbers in one flat observation.
    """

    def __init__(self, capacity: int, *, observation_size: int) -> None:
        self.capacity = capacity
        self.added = 0
        self._arrays: dict[str, NDArray[Any]] = {
            "observations": np.zeros((capacity, observation_size), np.float32),
            "next_observations": np.zeros((capacity, observation_size), np.float32),
            "actions": np.zeros((capacity, 1), np.int64),
            "rewards": np.zeros(capacity, np.float32),
            "terminated": np.zeros(capacity, np.float32),
        }
        # In a fixed order, without the names: `add` runs at every step of the environment.
        self._columns = tuple(self._arrays.values())

    def __len__(self) -> int:
        return min(self.added, self.capacity)

    def add(
        self,
        observation: NDArray[np.float32],
        next_observation: NDArray[np.float32],
        action: int,
        reward: float,
        terminated: bool,
    ) -> None:
        """Stores one transition over the oldest one.

        Args:
            observation: the state that was acted in, flat.
            next_observation: the state reached, flat; never the first one of the next episode.
            action: index of the action.
            reward: reward of the step.
            terminated: whether the task ended; False at a time limit, where the value goes on.
        """
        row = self.added % self.capacity
        observations, next_observations, actions, rewards, ends = self._columns
        observations[row] = observation
        next_observations[row] = next_observation
        actions[row] = action
        rewards[row] = reward
        ends[row] = terminated
        self.added += 1

    def sample(self, batch_size: int, generator: np.random.Generator) -> Batch:
        """Draws transitions uniformly, with replacement.

        Args:
            batch_size: transitions to draw.
            generator: where the choice comes from.

        Returns:
            The transitions, as tensors on the CPU.

        Raises:
            ValueError: the buffer is empty.
        """
        if not self.added:
            raise ValueError(f"cannot sample {batch_size} transitions from an empty buffer")
        rows = generator.integers(len(self), size=batch_size)
        return Batch(*(torch.from_numpy(column.take(rows, axis=0)) for column in self._columns))

    def state_dict(self) -> dict[str, Any]:
        """Returns a copy of the stored transitions, as tensors, and their count so far."""
        size = len(self)
        arrays = {name: torch.tensor(array[:size]) for name, array in self._arrays.items()}
        return {"added": self.added, **arrays}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes over what `state_dict` returned.

        Args:
            state: the state of a buffer of the same capacity and observation size.

        Raises:
            ValueError: an array has more rows, or another row size, than this buffer.
        """
        for name, array in self._arrays.items():
            rows = state[name].numpy()
            if len(rows) > self.capacity or rows.shape[1:] != array.shape[1:]:
                raise ValueError(f"{name} of shape {rows.shape} do not fit into {array.shape}")
            array[: len(rows)] = rows
        self.added = int(state["added"])
