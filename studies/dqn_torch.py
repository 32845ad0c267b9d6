"""DQN's network and the gradient of its loss, by torch's autograd on any device."""

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from alphagrad.studies.flat_parameters import Array
from alphagrad.studies.initialisation import linear_
from alphagrad.studies.replay import Batch
from alphagrad.studies.torch_networks import move_towards, perceptron, to_tensor


class TorchDQN:
    """The same as `NumpyDQN`, and used in the same way; parameters have the same names.

    Args:
        observation_size: numbers in one observation.
        actions: how many actions there are.
        hidden_sizes: width of each hidden layer.
        generator: where the initial weights come from.
        device: where to compute.
    """

    def __init__(
        self,
        *,
        observation_size: int,
        actions: int,
        hidden_sizes: tuple[int, ...],
        generator: torch.Generator,
        device: str,
    ) -> None:
        self._device = torch.device(device)
        network = perceptron((observation_size, *hidden_sizes, actions), activation=nn.ReLU)
        linear_(network.named_parameters(), generator)
        self.q = nn.ModuleDict({"q": network}).to(self._device)
        self._target = copy.deepcopy(self.q).requires_grad_(requires_grad=False)

    @torch.no_grad()
    def act(self, observation: Array) -> int:
        """Gives the action of the highest Q value for one observation."""
        return int(self.q["q"](self._tensor(observation)).argmax())

    def td_step(self, batch: Batch, *, gamma: float) -> dict[str, float]:
        """Computes the gradient of the mean squared TD error; see `NumpyDQN`."""
        following = self._target["q"](self._tensor(batch.reached)).amax(1)
        going_on = 1 - self._tensor(batch.terminated)
        goal = self._tensor(batch.reward) + gamma * going_on * following
        taken = self._tensor(batch.action).long()
        value = self.q["q"](self._tensor(batch.observation)).gather(1, taken).squeeze(1)
        loss = functional.mse_loss(value, goal)
        self.q.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        return {"losses/td_loss": loss.item(), "losses/q_values": value.mean().item()}

    def update_target(self, tau: float) -> None:
        """Moves the target by a share `tau` towards the network."""
        move_towards(self._target, self.q, share=tau)

    def state_dict(self) -> dict[str, dict[str, Tensor]]:
        """Gives the parameters of the network and of its target."""
        return {"q": self.q.state_dict(), "target": self._target.state_dict()}

    def load_state_dict(self, state: Mapping[str, dict[str, Tensor]]) -> None:
        """Takes over what `state_dict` gave, a `NumpyDQN`'s too."""
        self.q.load_state_dict(state["q"])
        self._target.load_state_dict(state["target"])

    def _tensor(self, array: Array) -> Tensor:
        return to_tensor(array, self._device)
