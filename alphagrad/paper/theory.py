"""The paper's two theorems on functions of known smoothness: the measured rate, and the bound.

Both are about AlphaGrad without momentum on an L-smooth function of n variables, in steps of η.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from alphagrad.optim import AlphaGrad

EPS = 1e-8
ALPHAS = (0.5, 2.0, 20.0)
VARIABLES = 50
STEPS = 3_000
POINTS = 60
THEORY = "theory.json"
"""What :func:`measure` writes, in the folder of results."""
Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Smooth:
    """A function of n variables with its least value 0 at the origin.

    Attributes:
        name: what figures call it.
        kind: whether it is convex.
        smoothness: L, the Lipschitz constant of its gradient.
        value: the function.
    """

    name: str
    kind: Literal["convex", "non-convex"]
    smoothness: float
    value: Callable[[Tensor], Tensor]


def _quadratic(x: Tensor) -> Tensor:
    curvature = torch.logspace(-2, 0, len(x), dtype=x.dtype)
    return 0.5 * (curvature * x * x).sum()


FUNCTIONS = (
    Smooth("quadratic, condition number 100", "convex", 1.0, _quadratic),
    Smooth(
        "Σ log cosh x",
        "convex",
        1.0,
        lambda x: (x.abs() + torch.log1p(torch.exp(-2 * x.abs())) - math.log(2)).sum(),
    ),
    Smooth("Σ x²/(1 + x²)", "non-convex", 2.0, lambda x: (x * x / (1 + x * x)).sum()),
    Smooth("Σ (1 − cos x)", "non-convex", 1.0, lambda x: (1 - torch.cos(x)).sum()),
)


@dataclass(frozen=True, slots=True)
class Rate:
    """What a theorem bounds, after each number of steps T, and its bound.

    Of a convex function the average regret (theorem 1), else the least ‖g‖²/(‖g‖+ε) (theorem 2).
    """

    measured: Array
    bound: Array


def descend(
    function: Smooth, *, alpha: float, n: int, steps: int, lr: float | None = None, seed: int = 0
) -> Rate:
    """Descends from a random point with the real optimizer, and puts the bound beside it.

    Args:
        function: what to minimise.
        alpha: the steepness.
        n: number of variables.
        steps: T.
        lr: η; by default what theorem 2 takes for this T.
        seed: of the starting point, uniform in [−3, 3]ⁿ.

    Returns:
        Of each T from 1 to `steps`, for one η.
    """
    generator = torch.Generator().manual_seed(seed)
    x = (torch.rand(n, generator=generator, dtype=torch.float64) * 6 - 3).requires_grad_()
    start, smoothness = function.value(x).item(), function.smoothness
    eta = math.sqrt(2 * start / (smoothness * n * steps)) if lr is None else lr
    optimizer = AlphaGrad([("x", x)], lr=eta, alpha=alpha, eps=EPS)
    values, norms, distances = np.empty(steps), np.empty(steps), np.empty(steps)
    for t in range(steps):
        optimizer.zero_grad()
        value = function.value(x)
        value.backward()  # type: ignore[no-untyped-call]
        assert x.grad is not None
        values[t], norms[t], distances[t] = value.item(), x.grad.norm().item(), x.norm().item()
        optimizer.step()
    took = np.arange(1, steps + 1)
    gain = math.tanh(alpha)
    if function.kind == "convex":
        least = np.minimum.accumulate(gain * norms / (norms + EPS))
        diameter = np.maximum.accumulate(distances)
        bound = diameter * (start / (eta * took * least) + smoothness * eta * n / (2 * least))
        return Rate(np.cumsum(values) / took, bound)
    stationary: Array = np.minimum.accumulate(norms * norms / (norms + EPS))
    limit = np.asarray(start / (eta * took * gain) + smoothness * eta * n / (2 * gain))
    return Rate(stationary, limit)


def measure(file: Path) -> None:
    """Measures the rate of each function and α, and keeps it at some numbers of steps.

    Kept, because the last digits depend on the processor, and the report must not.

    Args:
        file: the JSON to write.
    """
    places = np.unique(np.geomspace(1, STEPS, POINTS).astype(int)) - 1
    rows = []
    for function in FUNCTIONS:
        for alpha in ALPHAS:
            rate = descend(function, alpha=alpha, n=VARIABLES, steps=STEPS)
            rows.append(
                {
                    "function": function.name,
                    "kind": function.kind,
                    "alpha": alpha,
                    "holds": bool((rate.measured <= rate.bound).all()),
                    "steps": (places + 1).tolist(),
                    "measured": [float(f"{one:.6g}") for one in rate.measured[places]],
                    "bound": [float(f"{one:.6g}") for one in rate.bound[places]],
                }
            )
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("[\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n", encoding="utf-8")
