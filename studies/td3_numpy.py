"""TD3's networks and the gradients of their losses, in numpy."""

import numpy as np
import torch

from alphagrad.studies.flat_parameters import Array, FlatParameters
from alphagrad.studies.initialisation import linear_
from alphagrad.studies.mlp import MLP, mlp_shapes
from alphagrad.studies.replay import Batch


class NumpyTD3:
    """An actor, two critics, and a slowly following target of each.

    Args:
        observation_size: numbers in one observation.
        low: least action, shape (action size,).
        high: greatest action, likewise.
        hidden_sizes: width of each hidden layer.
        generator: where the initial weights come from.

    Attributes:
        actor: the actor's parameters.
        critics: those of both critics.
    """

    def __init__(
        self,
        *,
        observation_size: int,
        low: Array,
        high: Array,
        hidden_sizes: tuple[int, ...],
        generator: torch.Generator,
    ) -> None:
        self.low, self.high = low, high
        self.scale, self.middle = (high - low) / 2, (high + low) / 2
        actor = mlp_shapes("actor", (observation_size, *hidden_sizes, len(low)))
        sizes = (observation_size + len(low), *hidden_sizes, 1)
        critics = mlp_shapes("qf1", sizes) | mlp_shapes("qf2", sizes)
        self.actor, self.critics = FlatParameters(actor), FlatParameters(critics)
        linear_(self.actor.named_parameters(), generator)
        linear_(self.critics.named_parameters(), generator)
        self._target_actor, self._target_critics = FlatParameters(actor), FlatParameters(critics)
        self.update_targets(1.0)
        self._policy = MLP(self.actor, "actor", activation="relu")
        self._qs = [MLP(self.critics, name, activation="relu") for name in ("qf1", "qf2")]
        self._target_policy = MLP(self._target_actor, "actor", activation="relu")
        self._target_qs = [
            MLP(self._target_critics, name, activation="relu") for name in ("qf1", "qf2")
        ]

    def act(self, observation: Array) -> Array:
        """Gives the action for one observation."""
        action = np.tanh(self._policy.one(observation))
        action *= self.scale
        action += self.middle
        return action

    def critic_step(self, batch: Batch, *, noise: Array, gamma: float) -> dict[str, float]:
        """Writes the gradients of both critics' mean squared errors.

        Args:
            batch: transitions.
            noise: what is added to the target policy's actions, (batch, action size).
            gamma: discount.

        Returns:
            The loss and the mean values.
        """
        aim = np.tanh(self._target_policy(batch.reached)[0]) * self.scale + self.middle
        following = np.hstack([batch.reached, np.clip(aim + noise, self.low, self.high)])
        values = np.minimum(*(q(following)[0, :, 0] for q in self._target_qs))
        goal = batch.reward + gamma * (1 - batch.terminated) * values
        metrics = {"losses/qf_loss": 0.0}
        for name, q in zip(("qf1", "qf2"), self._qs, strict=True):
            value = q.forward(batch.state_action)
            error = value - goal[None, :, None]
            q.backward(2 / len(goal) * error)
            metrics["losses/qf_loss"] += float(np.square(error).mean())
            metrics[f"losses/{name}_values"] = float(value.mean())
        return metrics

    def actor_step(self, batch: Batch) -> dict[str, float]:
        """Writes the actor's gradient: that of the first critic's mean value, downhill.

        Returns:
            The loss.
        """
        squashed = np.tanh(self._policy.forward(batch.observation))
        action = squashed[0] * self.scale + self.middle
        value = self._qs[0].forward(np.hstack([batch.observation, action]))
        slope = np.full_like(value, -1 / value.size)
        by_input = self._qs[0].backward(slope, to_parameters=False, to_input=True)
        assert by_input is not None
        by_action = by_input[:, :, batch.observation.shape[1] :]
        self._policy.backward(by_action * self.scale * (1 - squashed * squashed))
        return {"losses/actor_loss": -float(value.mean())}

    def update_targets(self, tau: float) -> None:
        """Moves each target by a share `tau` towards its network."""
        self._target_actor.move_towards(self.actor, share=tau)
        self._target_critics.move_towards(self.critics, share=tau)

    def state_dict(self) -> dict[str, dict[str, torch.Tensor]]:
        """Gives the parameters of all networks."""
        return {name: flat.state_dict() for name, flat in self._flats().items()}

    def load_state_dict(self, state: dict[str, dict[str, torch.Tensor]]) -> None:
        """Takes over what `state_dict` gave."""
        for name, flat in self._flats().items():
            flat.load_state_dict(state[name])

    def _flats(self) -> dict[str, FlatParameters]:
        return {
            "actor": self.actor,
            "critics": self.critics,
            "target_actor": self._target_actor,
            "target_critics": self._target_critics,
        }
