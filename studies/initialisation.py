"""Initial weights of the numpy networks, drawn by `torch.nn.init`."""

import math
from collections.abc import Mapping

import torch
from torch import nn

from alphagrad.studies.flat_parameters import FlatParameters


def linear_(flat: FlatParameters, generator: torch.Generator, *, agent: int = 0) -> None:
    """Draws an agent's weights and biases as `torch.nn.Linear` does: uniform within 1/√inputs.

    Args:
        flat: the parameters to set.
        generator: where the numbers come from.
        agent: whose parameters to set.
    """
    bound = 0.0
    for name, parameter in flat.named_parameters(agent):
        if name.endswith(".weight"):  # its bias comes next and has the same bound
            bound = 1 / math.sqrt(parameter.shape[1])
        nn.init.uniform_(parameter, -bound, bound, generator=generator)


def orthogonal_(
    flat: FlatParameters,
    generator: torch.Generator,
    *,
    gains: Mapping[str, float],
    agent: int = 0,
) -> None:
    """Makes an agent's weights orthogonal, and leaves what is not a weight at zero.

    Args:
        flat: the parameters to set.
        generator: where the numbers come from.
        gains: what to multiply a weight by, by its name; the others take √2.
        agent: whose parameters to set.
    """
    for name, parameter in flat.named_parameters(agent):
        if name.endswith(".weight"):
            gain = gains.get(name, math.sqrt(2))
            nn.init.orthogonal_(parameter, gain, generator=generator)
