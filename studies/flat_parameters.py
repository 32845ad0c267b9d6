"""Named parameters in one flat buffer, seen by numpy as arrays and by torch as parameters."""

import math
from collections.abc import Iterator, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Array = NDArray[np.float32]


class FlatParameters:
    """Float32 parameters of one or several agents, with a gradient beside each.

    numpy and torch share the memory: what one writes the other sees. Gradients are always there,
    so nothing calls ``zero_grad``, which would take them away.

    Args:
        shapes: the shape of each parameter by name; each agent has all of them.
        agents: how many agents there are (default: 1).

    Attributes:
        values: all parameters, shape (agents, numbers of one agent), zeros at first.
        grads: their gradients, likewise.

    Example:
        >>> flat = FlatParameters({"weight": (2, 3), "bias": (2,)}, agents=4)
        >>> flat.values.shape, flat.array("weight").shape
        ((4, 8), (4, 2, 3))
        >>> name, weight = next(flat.named_parameters(agent=1))
        >>> flat.array("weight")[1] = 7
        >>> name, weight[0].tolist()
        ('weight', [7.0, 7.0, 7.0])
    """

    def __init__(self, shapes: Mapping[str, tuple[int, ...]], *, agents: int = 1) -> None:
        self.shapes = dict(shapes)
        ends = np.cumsum([math.prod(shape) for shape in self.shapes.values()]).tolist()
        self._slices = dict(zip(self.shapes, map(slice, [0, *ends[:-1]], ends), strict=True))
        self.values: Array = np.zeros((agents, ends[-1]), np.float32)
        self.grads: Array = np.zeros((agents, ends[-1]), np.float32)
        self._parameters = [
            {name: self._parameter(agent, name) for name in self.shapes} for agent in range(agents)
        ]

    def array(self, name: str) -> Array:
        """Gives one parameter of all agents, shape (agents, *its shape); a write is a change."""
        return self.values[:, self._slices[name]].reshape(-1, *self.shapes[name])

    def grad(self, name: str) -> Array:
        """Gives the gradient of one parameter of all agents, shape (agents, *its shape)."""
        return self.grads[:, self._slices[name]].reshape(-1, *self.shapes[name])

    def named_parameters(
        self, agent: int = 0, *, prefix: str = ""
    ) -> Iterator[tuple[str, nn.Parameter]]:
        """Gives one agent's parameters, as an optimizer takes them.

        Args:
            agent: the agent's index.
            prefix: what to put before each name.
        """
        for name, parameter in self._parameters[agent].items():
            yield prefix + name, parameter

    def move_towards(self, other: "FlatParameters", *, share: float) -> None:
        """Moves all values by a share towards those of another; a share of 1 copies exactly."""
        self.values *= 1 - share
        self.values += share * other.values

    def state_dict(self, agent: int = 0) -> dict[str, Tensor]:
        """Gives copies of one agent's parameters by name."""
        return {name: value.detach().clone() for name, value in self.named_parameters(agent)}

    def load_state_dict(self, state: Mapping[str, Tensor], agent: int = 0) -> None:
        """Takes over what `state_dict` gave.

        Args:
            state: tensors by name, of these names and shapes.
            agent: whose parameters to set.

        Raises:
            ValueError: names or shapes differ.
        """
        found = {name: tuple(value.shape) for name, value in state.items()}
        if found != self.shapes:
            raise ValueError(f"cannot load parameters of shapes {found} into {self.shapes}")
        with torch.no_grad():
            for name, parameter in self.named_parameters(agent):
                parameter.copy_(state[name])

    def _parameter(self, agent: int, name: str) -> nn.Parameter:
        parameter = nn.Parameter(torch.from_numpy(self.array(name)[agent]))
        parameter.grad = torch.from_numpy(self.grad(name)[agent])
        return parameter
