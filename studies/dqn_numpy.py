"""DQN's network and the gradient of its loss, in numpy."""

from collections.abc import Mapping

import numpy as np
import torch

from alphagrad.studies.flat_parameters import Array, FlatParameters
from alphagrad.studies.initialisation import linear_
from alphagrad.studies.mlp import MLP, mlp_shapes
from alphagrad.studies.replay import Batch


class NumpyDQN:
    """A network from an observation to one Q value for each action, and its target.

    Args:
        observation_size: numbers in one observation.
        actions: how many actions there are.
        hidden_sizes: width of each hidden layer.
        generator: where the initial weights come from.

    Attributes:
        q: the network's parameters.
    """

    def __init__(
        self,
        *,
        observation_size: int,
        actions: int,
        hidden_sizes: tuple[int, ...],
        generator: torch.Generator,
    ) -> None:
        shapes = mlp_shapes("q", (observation_size, *hidden_sizes, actions))
        self.q, self._target = FlatParameters(shapes), FlatParameters(shapes)
        linear_(self.q.named_parameters(), generator)
        self.update_target(1.0)
        self._network = MLP(self.q, "q", activation="relu")
        self._target_network = MLP(self._target, "q", activation="relu")

    def act(self, observation: Array) -> np.intp:
        """Gives the action of the highest Q value for one observation."""
        return self._network.one(observation).argmax()

    def td_step(self, batch: Batch, *, gamma: float) -> dict[str, float]:
        """Writes the gradient of the mean squared TD error.

        Args:
            batch: transitions.
            gamma: discount.

        Returns:
            The loss and the mean value.
        """
        # A copy on its side: numpy is slow at the maxima of short rows.
        following = self._target_network(batch.reached)[0].T.copy().max(axis=0)
        goal = batch.reward + gamma * (1 - batch.terminated) * following
        values = self._network.forward(batch.observation)
        # Flat indices: numpy takes half as long with them as with a row and a column each.
        taken = np.arange(0, values.size, values.shape[2]) + batch.action[:, 0].astype(np.intp)
        value = values.take(taken)
        error = value - goal
        slope = np.zeros(values.shape, np.float32)
        slope.reshape(-1)[taken] = 2 / len(goal) * error
        self._network.backward(slope)
        return {
            "losses/td_loss": float(error @ error) / len(goal),
            "losses/q_values": float(value.sum()) / len(goal),
        }

    def update_target(self, tau: float) -> None:
        """Moves the target by a share `tau` towards the network."""
        self._target.move_towards(self.q, share=tau)

    def state_dict(self) -> dict[str, dict[str, torch.Tensor]]:
        """Gives the parameters of the network and of its target."""
        return {"q": self.q.state_dict(), "target": self._target.state_dict()}

    def load_state_dict(self, state: Mapping[str, dict[str, torch.Tensor]]) -> None:
        """Takes over what `state_dict` gave."""
        self.q.load_state_dict(state["q"])
        self._target.load_state_dict(state["target"])
