"""Initial weights of the networks of either backend, drawn by `torch.nn.init`."""

import math
from collections.abc import Iterable, Mapping

import torch
from torch import nn

Named = Iterable[tuple[str, nn.Parameter]]


def linear_(named_parameters: Named, generator: torch.Generator) -> None:
    """Draws weights and biases as `torch.nn.Linear` does: uniform within 1/√inputs.

    Args:
        named_parameters: what to set, each bias right after its weight.
        generator: where the numbers come from.
    """
    bound = 0.0
    for name, parameter in named_parameters:
        if name.endswith("weight"):  # its bias comes next and has the same bound
            bound = 1 / math.sqrt(parameter.shape[1])
        nn.init.uniform_(parameter, -bound, bound, generator=generator)


def orthogonal_(
    named_parameters: Named, generator: torch.Generator, *, gains: Mapping[str, float]
) -> None:
    """Makes weights orthogonal, and what is not a weight zero.

    Args:
        named_parameters: what to set.
        generator: where the numbers come from.
        gains: what to multiply a weight by, by its name; the others take √2.
    """
    for name, parameter in named_parameters:
        if name.endswith("weight"):
            gain = gains.get(name, math.sqrt(2))
            nn.init.orthogonal_(parameter, gain, generator=generator)
        else:
            nn.init.zeros_(parameter)
