"""A replay buffer: the latest transitions of an environment, sampled uniformly."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from alphagrad.studies.flat_parameters import Array


class Batch(NamedTuple):
    """Transitions drawn from a buffer: views of one copy, float32, one row for each.

    Attributes:
        observation: the states acted in, (batch, observation_size).
        action: what was done there, (batch, action_size).
        state_action: both side by side, as a critic takes them.
        reached: the states this led to, (batch, observation_size).
        reward: (batch,).
        terminated: (batch,), 1 where the task ended and 0 elsewhere.
    """

    observation: Array
    action: Array
    state_action: Array
    reached: Array
    reward: Array
    terminated: Array


class ReplayBuffer:
    """A ring of transitions, each a row of one float32 table, so that a batch is a single copy.

    Args:
        capacity: transitions kept; the oldest are overwritten.
        observation_size: numbers in one flat observation.
        action_size: numbers in one action; 1 for a discrete one, exact up to 2²⁴.

    Attributes:
        added: transitions added so far.

    Example:
        >>> buffer = ReplayBuffer(100, observation_size=2, action_size=1)
        >>> buffer.add(np.zeros(2), 1, np.ones(2), reward=0.5, terminated=False)
        >>> batch = buffer.sample(3, np.random.default_rng(0))
        >>> batch.state_action.tolist(), batch.reward.tolist()
        ([[0.0, 0.0, 1.0], [0.0, 0.0, 1.0], [0.0, 0.0, 1.0]], [0.5, 0.5, 0.5])
    """

    def __init__(self, capacity: int, *, observation_size: int, action_size: int) -> None:
        self.added = 0
        first, second = observation_size, observation_size + action_size
        third = second + observation_size
        self._observation, self._action = slice(first), slice(first, second)
        self._reached = slice(second, third)
        self._state_action = slice(second)
        # Not filled, so memory is taken only as transitions come in.
        self._rows: Array = np.zeros((capacity, third + 2), np.float32)

    def __len__(self) -> int:
        return min(self.added, len(self._rows))

    def add(
        self,
        observation: NDArray[Any],
        action: Any,
        reached: NDArray[Any],
        *,
        reward: float,
        terminated: bool,
    ) -> None:
        """Stores one transition over the oldest one.

        Args:
            observation: the state that was acted in, flat.
            action: the action taken there.
            reached: the state it led to, flat; never the first one of the next episode.
            reward: reward of the step.
            terminated: whether the task ended; False at a time limit, where the value goes on.
        """
        row = self._rows[self.added % len(self._rows)]
        row[self._observation] = observation
        row[self._action] = action
        row[self._reached] = reached
        row[-2] = reward
        row[-1] = terminated
        self.added += 1

    def sample(self, batch_size: int, generator: np.random.Generator) -> Batch:
        """Draws transitions uniformly, with replacement.

        Args:
            batch_size: transitions to draw.
            generator: where the choice comes from.

        Returns:
            The transitions.

        Raises:
            ValueError: the buffer is empty.
        """
        if not self.added:
            raise ValueError(f"cannot sample {batch_size} transitions from an empty buffer")
        # `integers` takes twice as long; with 53 random bits a bias towards a row is below 10⁻⁹.
        chosen = (generator.random(batch_size) * len(self)).astype(np.intp)
        rows = self._rows.take(chosen, axis=0)
        return Batch(
            observation=rows[:, self._observation],
            action=rows[:, self._action],
            state_action=rows[:, self._state_action],
            reached=rows[:, self._reached],
            reward=rows[:, -2],
            terminated=rows[:, -1],
        )

    def state_dict(self) -> dict[str, Any]:
        """Gives a copy of the transitions, and their count so far."""
        return {"added": self.added, "rows": torch.from_numpy(self._rows[: len(self)].copy())}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes over what `state_dict` gave.

        Args:
            state: of a buffer of the same capacity, observation size and action size.

        Raises:
            ValueError: there are more rows, or wider ones, than this buffer has.
        """
        rows = state["rows"].numpy()
        if len(rows) > len(self._rows) or rows.shape[1] != self._rows.shape[1]:
            raise ValueError(f"rows of shape {rows.shape} do not fit into {self._rows.shape}")
        self._rows[: len(rows)] = rows
        self.added = int(state["added"])
