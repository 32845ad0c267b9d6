"""PPO's networks and the gradient of its loss, in numpy, for several agents at once."""

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from alphagrad.studies.flat_parameters import Array, FlatParameters
from alphagrad.studies.initialisation import orthogonal_
from alphagrad.studies.mlp import MLP, mlp_shapes
from alphagrad.studies.ppo_params import PPOParams

GAINS = {"actor.output.weight": 0.01, "critic.output.weight": 1.0}


class Minibatch(NamedTuple):
    """What a gradient is made of, for all agents; A agents, M steps.

    Attributes:
        observation: normalised, (A, M, numbers).
        action: before it was clipped to its bounds, (A, M, action size).
        log_prob: its logarithmic density under the policy that acted, (A, M).
        advantage: of the action over the others, (A, M).
        target: what the value should be, (A, M).
        value: what it was, (A, M).
    """

    observation: Array
    action: Array
    log_prob: Array
    advantage: Array
    target: Array
    value: Array


class NumpyPPO:
    """For each agent a Gaussian policy, whose deviation is the same in all states, and a critic.

    Args:
        params: the sizes of the networks, and the coefficients of the loss.
        observation_size: numbers in one observation.
        action_size: numbers in one action.
        generators: where each agent's initial weights come from.
    """

    def __init__(
        self,
        params: PPOParams,
        *,
        observation_size: int,
        action_size: int,
        generators: list[torch.Generator],
    ) -> None:
        self._params = params
        self._clip = np.float32(params.clip_coef)
        self._least, self._most = np.float32(1 - params.clip_coef), np.float32(1 + params.clip_coef)
        self._flat = FlatParameters(
            mlp_shapes("actor", (observation_size, *params.hidden_sizes, action_size))
            | {"actor.log_std": (action_size,)}
            | mlp_shapes("critic", (observation_size, *params.hidden_sizes, 1)),
            agents=len(generators),
        )
        for agent, generator in enumerate(generators):
            orthogonal_(self._flat.named_parameters(agent), generator, gains=GAINS)
        self._actor = MLP(self._flat, "actor", activation="tanh")
        self._critic = MLP(self._flat, "critic", activation="tanh")
        count = range(len(generators))
        self._actors = [MLP(self._flat, "actor", activation="tanh", agent=i) for i in count]
        self._critics = [MLP(self._flat, "critic", activation="tanh", agent=i) for i in count]
        self.log_std = self._flat.array("actor.log_std")
        self._log_std_grad = self._flat.grad("actor.log_std")

    def named_parameters(self, agent: int) -> list[tuple[str, nn.Parameter]]:
        """Gives one agent's parameters, as an optimizer takes them."""
        return list(self._flat.named_parameters(agent))

    def act(self, observation: Array, *, agent: int | None = None) -> Array:
        """Gives the policy's mean.

        Args:
            observation: shape (agents, batch, numbers), with `agent` (1, batch, numbers).
            agent: the only agent to ask (default: all of them).

        Returns:
            Shape (agents, batch, action size), or (1, batch, action size).
        """
        return (self._actor if agent is None else self._actors[agent])(observation)

    def values(self, observation: Array, *, agent: int | None = None) -> Array:
        """Gives the critic's values, (agents, batch), or (1, batch); see `act`."""
        return (self._critic if agent is None else self._critics[agent])(observation)[..., 0]

    def loss_backward(self, batch: Minibatch) -> None:
        """Writes the gradient of each agent's loss: policy, value and entropy together."""
        params, advantage = self._params, batch.advantage
        share = np.float32(1 / advantage.shape[1])

        # The policy: a step counts as long as its ratio is not yet beyond the bound it moves to.
        deviation = np.exp(self.log_std)[:, None]
        z = batch.action - self._actor.forward(batch.observation)
        z /= deviation
        squares = z * z
        self._log_ratio = gaussian_log_prob(squares, self.log_std) - batch.log_prob
        ratio = np.exp(self._log_ratio)
        bound = np.where(advantage > 0, self._most, -self._least)
        self._free = np.sign(advantage) * ratio <= bound
        weight = advantage * ratio
        weight *= self._free
        weight *= -share
        self._actor.backward(weight[..., None] * z / deviation)
        np.matmul(weight[:, None], squares - 1, out=self._log_std_grad[:, None])
        self._log_std_grad -= params.ent_coef
        self._policy_terms = (advantage, ratio)

        # The value: no slope where clipping gives the larger error.
        value = self._critic.forward(batch.observation)[..., 0]
        error = value - batch.target
        self._value_loss = np.square(error)
        if params.clip_vloss:
            clipped = np.minimum(
                np.maximum(value, batch.value - self._clip), batch.value + self._clip
            )
            clipped -= batch.target
            clipped *= clipped
            error *= self._value_loss >= clipped
            self._value_loss = np.maximum(self._value_loss, clipped)
        error *= np.float32(params.vf_coef) * share
        self._critic.backward(error[..., None])

    def metrics(self, agent: int) -> dict[str, float]:
        """Gives the parts of an agent's latest loss."""
        advantage, ratio = (term[agent] for term in self._policy_terms)
        clipped = ratio.clip(self._least, self._most)
        surrogate = np.minimum(advantage * ratio, advantage * clipped)
        entropy = self.log_std[agent] + 0.5 * math.log(2 * math.pi * math.e)
        return {
            "losses/policy_loss": -float(surrogate.mean()),
            "losses/value_loss": 0.5 * float(self._value_loss[agent].mean()),
            "losses/entropy": float(entropy.sum()),
            "losses/approx_kl": self.approx_kl(agent),
            "losses/clipfrac": float((ratio != clipped).mean()),
        }

    def approx_kl(self, agent: int) -> float:
        """Gives how far an agent's policy has moved, in nats, by its latest minibatch."""
        log_ratio = self._log_ratio[agent]
        return float((np.exp(log_ratio) - 1 - log_ratio).mean())

    def clip_grad_norm(self, agent: int, bound: float) -> None:
        """Scales an agent's gradient down to a norm of `bound`, as torch's `clip_grad_norm_`."""
        grads = self._flat.grads[agent]
        factor = bound / (math.sqrt(np.dot(grads, grads)) + 1e-6)
        if factor < 1:
            grads *= np.float32(factor)

    def state_dict(self, agent: int) -> dict[str, Tensor]:
        """Gives a copy of one agent's parameters."""
        return self._flat.state_dict(agent)

    def load_state_dict(self, state: dict[str, Tensor], agent: int) -> None:
        """Takes over what `state_dict` gave."""
        self._flat.load_state_dict(state, agent)


def gaussian_log_prob(squares: Array, log_std: Array) -> Array:
    """Gives the logarithmic density of actions.

    Args:
        squares: squared distance from the mean in deviations, (agents, batch, action size).
        log_std: logarithm of the deviations, (agents, action size).

    Returns:
        Shape (agents, batch).
    """
    size = log_std.shape[1]
    constant = np.add.reduce(log_std, 1, keepdims=True)
    constant += np.float32(size / 2 * math.log(2 * math.pi))
    log_prob: Array = np.add.reduce(squares, 2)
    log_prob *= np.float32(-0.5)
    log_prob -= constant
    return log_prob
