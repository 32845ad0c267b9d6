"""PPO's networks and the gradient of its loss, by torch's autograd on any device."""

import torch
from torch import Tensor, nn
from torch.distributions import Normal

from alphagrad.studies.flat_parameters import Array
from alphagrad.studies.initialisation import orthogonal_
from alphagrad.studies.ppo_numpy import GAINS, Minibatch
from alphagrad.studies.ppo_params import PPOParams
from alphagrad.studies.torch_networks import perceptron, to_tensor


class TorchPPO:
    """The same as `NumpyPPO` for a single agent, and used in the same way.

    Args:
        params: the sizes of the networks, the coefficients of the loss, and the device.
        observation_size: numbers in one observation.
        action_size: numbers in one action.
        generators: where the initial weights come from: one of them.

    Raises:
        ValueError: there are several agents.
    """

    def __init__(
        self,
        params: PPOParams,
        *,
        observation_size: int,
        action_size: int,
        generators: list[torch.Generator],
    ) -> None:
        if len(generators) != 1:
            raise ValueError(f"backend='torch' trains one agent at a time, not {len(generators)}")
        self._params = params
        hidden = params.hidden_sizes
        actor = perceptron((observation_size, *hidden, action_size), activation=nn.Tanh)
        actor.register_parameter("log_std", nn.Parameter(torch.zeros(action_size)))
        critic = perceptron((observation_size, *hidden, 1), activation=nn.Tanh)
        self._networks = nn.ModuleDict({"actor": actor, "critic": critic})
        orthogonal_(self._networks.named_parameters(), generators[0], gains=GAINS)
        self._networks.to(params.device)
        self._metrics: dict[str, Tensor] = {}

    @property
    def log_std(self) -> Array:
        """Logarithm of the policy's deviations, (1, action size)."""
        array: Array = self._log_std.detach().cpu().numpy()[None]
        return array

    @property
    def _log_std(self) -> Tensor:
        return self._networks["actor"].get_parameter("log_std")

    def named_parameters(self, agent: int) -> list[tuple[str, nn.Parameter]]:
        """Gives the agent's parameters, as an optimizer takes them."""
        return list(self._networks.named_parameters())

    @torch.no_grad()
    def act(self, observation: Array, *, agent: int | None = None) -> Array:
        """Gives the policy's mean, (1, batch, action size), for (1, batch, numbers)."""
        mean: Array = self._networks["actor"](self._tensor(observation)).cpu().numpy()
        return mean

    @torch.no_grad()
    def values(self, observation: Array, *, agent: int | None = None) -> Array:
        """Gives the critic's values, (1, batch), for (1, batch, numbers)."""
        values: Array = self._networks["critic"](self._tensor(observation)).cpu().numpy()
        return values[..., 0]

    def loss_backward(self, batch: Minibatch) -> None:
        """Computes the gradient of the loss: policy, value and entropy together."""
        params, bound = self._params, self._params.clip_coef
        observation, action, log_prob, advantage, target, old_value = map(self._tensor, batch)

        policy = Normal(self._networks["actor"](observation), self._log_std.exp())
        density: Tensor = policy.log_prob(action)  # type: ignore[no-untyped-call]
        log_ratio = density.sum(-1) - log_prob
        ratio = log_ratio.exp()
        surrogate = torch.minimum(advantage * ratio, advantage * ratio.clamp(1 - bound, 1 + bound))
        policy_loss = -surrogate.mean()
        entropy: Tensor = policy.entropy().sum(-1).mean()  # type: ignore[no-untyped-call]

        value = self._networks["critic"](observation).squeeze(-1)
        squares = (value - target).square()
        if params.clip_vloss:
            clipped = old_value + (value - old_value).clamp(-bound, bound)
            squares = torch.maximum(squares, (clipped - target).square())
        value_loss = 0.5 * squares.mean()

        self._networks.zero_grad()
        (policy_loss + params.vf_coef * value_loss - params.ent_coef * entropy).backward()
        self._metrics = {
            "losses/policy_loss": policy_loss,
            "losses/value_loss": value_loss,
            "losses/entropy": entropy,
            "losses/approx_kl": (ratio - 1 - log_ratio).mean(),
            "losses/clipfrac": ((ratio - 1).abs() > bound).float().mean(),
        }

    def metrics(self, agent: int) -> dict[str, float]:
        """Gives the parts of the latest loss."""
        return {name: value.item() for name, value in self._metrics.items()}

    def approx_kl(self, agent: int) -> float:
        """Gives how far the policy has moved, in nats, by its latest minibatch."""
        return self._metrics["losses/approx_kl"].item()

    def clip_grad_norm(self, agent: int, bound: float) -> None:
        """Scales the gradient down to a norm of `bound`."""
        nn.utils.clip_grad_norm_(self._networks.parameters(), bound)

    def state_dict(self, agent: int) -> dict[str, Tensor]:
        """Gives the parameters."""
        state: dict[str, Tensor] = self._networks.state_dict()
        return state

    def load_state_dict(self, state: dict[str, Tensor], agent: int) -> None:
        """Takes over what `state_dict` gave."""
        self._networks.load_state_dict(state)

    def _tensor(self, array: Array) -> Tensor:
        return to_tensor(array, self._params.device)
