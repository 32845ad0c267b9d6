"""What the torch networks of the tasks share: perceptrons, targets, tensors of arrays."""

from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from alphagrad.studies.flat_parameters import Array


def perceptron(
    sizes: Sequence[int], *, activation: type[nn.Module], output: str = "output"
) -> nn.Sequential:
    """Makes a perceptron with an activation after each hidden layer.

    Args:
        sizes: numbers of inputs, of units in each hidden layer, and of outputs.
        activation: what follows each hidden layer.
        output: name of the last layer; the others are called hidden1, hidden2, …

    Example:
        >>> network = perceptron((4, 8, 2), activation=nn.ReLU)
        >>> [name for name, _ in network.named_parameters()]
        ['hidden1.weight', 'hidden1.bias', 'output.weight', 'output.bias']
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for number in range(1, len(sizes) - 1):
        layers[f"hidden{number}"] = nn.Linear(sizes[number - 1], sizes[number])
        layers[f"activation{number}"] = activation()
    layers[output] = nn.Linear(sizes[-2], sizes[-1])
    return nn.Sequential(layers)


@torch.no_grad()
def move_towards(target: nn.Module, source: nn.Module, *, share: float) -> None:
    """Moves each parameter of a target network by a share towards its twin."""
    for old, new in zip(target.parameters(), source.parameters(), strict=True):
        old.lerp_(new, share)


def to_tensor(array: Array, device: torch.device | str) -> Tensor:
    """Gives an array as a tensor on a device."""
    return torch.from_numpy(np.ascontiguousarray(array)).to(device)
