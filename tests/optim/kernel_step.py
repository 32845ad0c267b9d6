"""One step of the native kernel, with defaults for what a test does not set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from alphagrad.optim import native

DEFAULTS: dict[str, Any] = {
    "alpha": 3.0,
    "beta": 1.0,
    "mix": 1.0,
    "lr": 0.1,
    "momentum": 0.0,
    "dampening": 0.0,
    "nesterov": False,
    "weight_decay": 0.0,
    "maximize": False,
    "eps": 1e-8,
    "tau": 2.5,
    "pooled": False,
    "unit_rms": False,
    "seed": None,
    "inv_scale": 1.0,
}


@dataclass
class Outcome:
    """What a step said."""

    taken: bool
    saturation: Tensor
    skipped: Tensor


def step(
    params: Sequence[Tensor],
    grads: Sequence[Tensor | None],
    buffers: Sequence[Tensor | None] = (),
    **options: Any,
) -> Outcome:
    """Take it, or find that the kernel does not."""
    n = len(params)
    saturation, skipped = torch.full((n,), -1.0), torch.zeros(3, n, dtype=torch.int64)
    rows = {"saturation": saturation, "skipped": skipped}
    return Outcome(
        native.step(params, grads, buffers, **(DEFAULTS | rows | options)), saturation, skipped
    )


def gradient(size: int, dtype: torch.dtype = torch.float32, seed: int = 1) -> Tensor:
    """Give entries of a wide range of magnitudes, a twentieth of them 0."""
    generator = torch.Generator().manual_seed(seed)
    g = torch.randn(size, generator=generator, dtype=torch.float64)
    g *= 10.0 ** (2 * torch.randn(size, generator=generator, dtype=torch.float64))
    return g.masked_fill(torch.rand(size, generator=generator) < 0.05, 0.0).to(dtype)


# Sets of options, between them through every line of the update.
VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "tau": {"tau": 9.0, "alpha": 50.0},
    "tau near the end of the fit": {"tau": 7.9999999, "alpha": 500.0},
    "every entry a hit": {"tau": 0.0},
    "beta": {"beta": 0.3, "maximize": True},
    "mix": {"mix": 0.4, "beta": 2.0, "maximize": True},
    "mix 0": {"mix": 0.0},
    "decay": {"weight_decay": 0.7},
    "scaled": {"inv_scale": 2.0**-12, "eps": 0.5},
    "unit_rms": {"unit_rms": True, "mix": 0.4},
    "momentum": {"momentum": 0.9},
    "dampening": {"momentum": 0.9, "dampening": 0.4, "maximize": True},
    "nesterov": {"momentum": 0.9, "nesterov": True, "weight_decay": 0.7},
    "all": {
        "momentum": 0.6,
        "dampening": 0.3,
        "nesterov": True,
        "weight_decay": 0.1,
        "mix": 0.7,
        "beta": 1.5,
        "unit_rms": True,
    },
}
