"""A look at what the tanh receives: histograms of |α·g̃|, on demand."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.linalg import vector_norm

from alphagrad.optim.alpha_grad import AlphaGrad
from alphagrad.optim.layers import Layer, find_layers, match_layers
from alphagrad.optim.packed import knob_vector
from alphagrad.optim.rule import as_real


@dataclass(frozen=True, slots=True)
class Histogram:
    """How the magnitudes of a layer's α·g̃ are distributed (paper, section 7.6).

    Attributes:
        edges: the bins' edges, evenly spaced in the logarithm, one more than ``counts``.
        counts: entries per bin. The first bin also holds what is smaller, the last what is larger.
        zeros: entries that are exactly 0, in no bin.
        tau: τ: the entries above it are saturated.
    """

    edges: list[float]
    counts: list[int]
    zeros: int
    tau: float


@torch.no_grad()
def tanh_input_histograms(
    optimizer: AlphaGrad,
    *,
    layers: str = "*",
    bins: int = 60,
    low: float = 1e-4,
    high: float = 1e2,
) -> dict[str, Histogram]:
    """Count the magnitudes of α·g̃ per layer, from the gradients that are there now.

    Costs about as much as a step in torch's operations, and waits for the device once per layer;
    nothing is counted unless this is called. Call it between ``backward()`` and ``zero_grad()``.

    Args:
        optimizer: whose layers to look at.
        layers: glob of the layers (default: all).
        bins: bins per layer (default: 60, ten a decade).
        low: lower edge of the first bin (default: 1e-4).
        high: upper edge of the last bin (default: 1e2).

    Returns:
        A histogram per layer that has a finite gradient which is not zero.

    Raises:
        ValueError: no layer matches, or not ``bins`` ≥ 1 and 0 < ``low`` < ``high``.

    Example:
        >>> weight = torch.zeros(1000, requires_grad=True)
        >>> weight.grad = torch.ones(1000)
        >>> optimizer = AlphaGrad([("weight", weight)], k=1.5)  # α·g̃ is 1.5 everywhere
        >>> found = tanh_input_histograms(optimizer, bins=2, low=0.1, high=10.0)
        >>> [round(edge, 6) for edge in found["weight"].edges], found["weight"].counts
        ([0.1, 1.0, 10.0], [0, 1000])
    """
    if bins < 1 or not 0 < low < high < math.inf:
        raise ValueError(
            f"Invalid bins, low, high: {bins}, {low}, {high}, must be bins >= 1, 0 < low < high"
        )
    start, stop = math.log10(low), math.log10(high)
    edges = [10 ** (start + (stop - start) * i / bins) for i in range(bins + 1)]
    found = {}
    for layer in match_layers(find_layers(optimizer.param_groups), layers):
        inputs = _tanh_input(optimizer, layer)
        if inputs is None:
            continue
        logs = inputs[inputs > 0].log10().clamp(start, stop)
        counts = torch.histc(logs, bins=bins, min=start, max=stop)
        found[layer.name] = Histogram(
            edges,
            [int(count) for count in counts.tolist()],
            inputs.numel() - logs.numel(),
            optimizer.param_groups[layer.group]["tau"],
        )
    return found


def _tanh_input(optimizer: AlphaGrad, layer: Layer) -> Tensor | None:
    """Give |α·g̃| of a layer, flat; None without a finite gradient that is not zero."""
    group = optimizer.param_groups[layer.group]
    grads = [p.grad for p in group["params"][layer.index] if p.grad is not None]
    if not grads:
        return None
    flat = torch.cat([as_real(g).reshape(-1).to(torch.float32) for g in grads])
    norm = vector_norm(flat, dtype=torch.float64)
    if not 0 < norm.item() < math.inf:
        return None
    size = norm + group["eps"] if group["norm"] != "none" else 1.0
    scale = knob_vector(group)[layer.index.start] / size
    return (flat * scale).abs()
