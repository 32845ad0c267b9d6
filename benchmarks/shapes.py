"""The parameter lists the benchmarks step: three real models and one large tensor."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch

Shape = tuple[int, ...]


def mlp(*widths: int) -> list[Shape]:
    """Weights and biases of a multi-layer perceptron.

    Args:
        widths: inputs, hidden layers, outputs.

    Returns:
        The shapes, as ``nn.Linear`` holds them.
    """
    layers = [((outputs, inputs), (outputs,)) for inputs, outputs in pairwise(widths)]
    return [shape for layer in layers for shape in layer]


def gpt2(
    width: int = 768, layers: int = 12, vocabulary: int = 50257, context: int = 1024
) -> list[Shape]:
    """Parameters of GPT-2 small; the head is the token embedding, and counts once."""
    norm: list[Shape] = [(width,), (width,)]
    attention: list[Shape] = [(width, 3 * width), (3 * width,), (width, width), (width,)]
    feed_forward: list[Shape] = [(width, 4 * width), (4 * width,), (4 * width, width), (width,)]
    embeddings: list[Shape] = [(vocabulary, width), (context, width)]
    return embeddings + layers * (norm + attention + norm + feed_forward) + norm


SHAPES: dict[str, list[Shape]] = {
    # CleanRL's PPO on HalfCheetah-v5: critic, actor mean, actor log-deviation.
    "ppo": [*mlp(17, 64, 64, 1), *mlp(17, 64, 64, 6), (1, 6)],
    # CleanRL's TD3 on Hopper-v5: the actor and two critics of observation and action.
    "td3": [*mlp(11, 256, 256, 3), *mlp(14, 256, 256, 1), *mlp(14, 256, 256, 1)],
    "gpt2": gpt2(),
    "large": [(2**24,)],
}

TITLES = {
    "ppo": "PPO actor-critic",
    "td3": "TD3, actor and two critics",
    "gpt2": "GPT-2 small",
    "large": "one tensor of 2²⁴",
}


def elements(shapes: Sequence[Shape]) -> int:
    """How many numbers the shapes hold together."""
    return sum(math.prod(shape) for shape in shapes)


def parameters(shapes: Sequence[Shape], device: str = "cpu") -> list[torch.nn.Parameter]:
    """Parameters of these shapes, each with a gradient, the same ones in every process."""
    torch.manual_seed(0)
    made = [torch.nn.Parameter(torch.randn(shape, device=device)) for shape in shapes]
    for parameter in made:
        parameter.grad = torch.randn_like(parameter)
    return made
