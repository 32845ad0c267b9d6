"""TD3's networks and the gradients of their losses, by torch's autograd on any device."""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional

from alphagrad.studies.flat_parameters import Array
from alphagrad.studies.initialisation import linear_
from alphagrad.studies.replay import Batch
from alphagrad.studies.torch_networks import move_towards, perceptron, to_tensor


class TorchTD3:
    """The same as `NumpyTD3`, and used in the same way; parameters have the same names.

    Args:
        observation_size: numbers in one observation.
        low: least action, shape (action size,).
        high: greatest action, likewise.
        hidden_sizes: width of each hidden layer.
        generator: where the initial weights come from.
        device: where to compute.
    """

    def __init__(
        self,
        *,
        observation_size: int,
        low: Array,
        high: Array,
        hidden_sizes: tuple[int, ...],
        generator: torch.Generator,
        device: str,
    ) -> None:
        self._device = torch.device(device)
        self.low, self.high = self._tensor(low), self._tensor(high)
        self.scale, self.middle = (self.high - self.low) / 2, (self.high + self.low) / 2
        sizes = (observation_size, *hidden_sizes, len(low))
        q_sizes = (observation_size + len(low), *hidden_sizes, 1)
        self.actor = nn.ModuleDict({"actor": perceptron(sizes, activation=nn.ReLU)})
        self.critics = nn.ModuleDict(
            {name: perceptron(q_sizes, activation=nn.ReLU) for name in ("qf1", "qf2")}
        )
        linear_(self.actor.named_parameters(), generator)
        linear_(self.critics.named_parameters(), generator)
        self._networks = nn.ModuleList([self.actor, self.critics]).to(self._device)
        self._targets = copy.deepcopy(self._networks).requires_grad_(requires_grad=False)

    @torch.no_grad()
    def act(self, observation: Array) -> Array:
        """Gives the action for one observation."""
        action: Array = self._action(self.actor, self._tensor(observation)).cpu().numpy()
        return action

    def critic_step(self, batch: Batch, *, noise: Array, gamma: float) -> dict[str, float]:
        """Computes the gradients of both critics' mean squared errors; see `NumpyTD3`."""
        target_actor, target_critics = self._targets
        reached, reward = self._tensor(batch.reached), self._tensor(batch.reward)
        with torch.no_grad():
            action = self._action(target_actor, reached) + self._tensor(noise)
            following = torch.cat([reached, action.clamp(self.low, self.high)], 1)
            values = torch.cat([q(following) for q in target_critics.children()], 1).amin(1)
            goal = reward + gamma * (1 - self._tensor(batch.terminated)) * values
        state_action = self._tensor(batch.state_action)
        values = torch.cat([q(state_action) for q in self.critics.children()], 1)
        loss = functional.mse_loss(values, goal[:, None].expand_as(values), reduction="sum")
        loss = loss / len(goal)
        self.critics.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        first, second = values.mean(0).tolist()
        return {
            "losses/qf1_values": first,
            "losses/qf2_values": second,
            "losses/qf_loss": loss.item(),
        }

    def actor_step(self, batch: Batch) -> dict[str, float]:
        """Computes the actor's gradient; see `NumpyTD3`."""
        observation = self._tensor(batch.observation)
        action = self._action(self.actor, observation)
        loss: Tensor = -self.critics["qf1"](torch.cat([observation, action], 1)).mean()
        self.actor.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        return {"losses/actor_loss": loss.item()}

    def update_targets(self, tau: float) -> None:
        """Moves each target by a share `tau` towards its network."""
        move_towards(self._targets, self._networks, share=tau)

    def state_dict(self) -> dict[str, dict[str, Tensor]]:
        """Gives the parameters of all networks."""
        return {"networks": self._networks.state_dict(), "targets": self._targets.state_dict()}

    def load_state_dict(self, state: dict[str, dict[str, Tensor]]) -> None:
        """Takes over what `state_dict` gave."""
        self._networks.load_state_dict(state["networks"])
        self._targets.load_state_dict(state["targets"])

    def _action(self, actor: nn.Module, observation: Tensor) -> Tensor:
        squashed = torch.tanh(actor.get_submodule("actor")(observation))
        return squashed * self.scale + self.middle

    def _tensor(self, array: Array) -> Tensor:
        return to_tensor(array, self._device)
