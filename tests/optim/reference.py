"""AlphaGrad in numpy and float64, written from the paper's equations and nothing else."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


class Reference:
    """One group of tensors, stepped one at a time.

    Args:
        params: the tensors.
        options: AlphaGrad's arguments; what is left out has AlphaGrad's default.
    """

    def __init__(self, params: list[Array], options: dict[str, Any]) -> None:
        self.params = params
        self.velocity = [np.zeros_like(p) for p in params]
        self.saturation: list[float] = []
        defaults = {"lr": 1e-3, "alpha": None, "k": 1.5, "momentum": 0.0, "dampening": 0.0}
        defaults |= {"weight_decay": 0.0, "eps": 1e-8, "tau": 2.5, "beta": 1.0, "mix": 1.0}
        self.o = defaults | options
        self.pooled = self.o.get("norm") == "group"
        self.alpha, self.beta, self.mix = (self._vector(key) for key in ("alpha", "beta", "mix"))

    def _vector(self, key: str) -> list[float]:
        value, n = self.o[key], len(self.params)
        if value is None:
            sizes = [max(p.size, 1) for p in self.params]
            if self.pooled:
                sizes = [max(sum(p.size for p in self.params), 1)] * n
            value = [self.o["k"] * math.sqrt(size) for size in sizes]
        if isinstance(value, list) or self.o.get("capturable"):
            values = value if isinstance(value, list) else [value] * n
            return [float(np.float32(v)) for v in values]  # the type that vectors have
        return [value] * n

    def step(self, grads: list[Array]) -> None:
        """Take a step; every gradient is finite, and those that are all zero are skipped."""
        o, n = self.o, len(self.params)
        sign = -1.0 if o.get("maximize") else 1.0
        squares = [float((g**2).sum()) for g in grads]
        nonzero = [int((g != 0).sum()) for g in grads]
        if self.pooled:
            squares, nonzero = [sum(squares)] * n, [sum(nonzero)] * n
        inputs = [
            sign * alpha * g / (1.0 if o.get("norm") == "none" else math.sqrt(square) + o["eps"])
            for alpha, g, square in zip(self.alpha, grads, squares, strict=True)
        ]
        hits = [int((np.abs(x) > o["tau"]).sum()) for x in inputs]
        hits = [sum(hits)] * n if self.pooled else hits
        norms = [math.inf if o.get("norm") == "none" else math.sqrt(square) for square in squares]
        self.saturation = [
            h / c if c and norm >= o["eps"] else math.nan
            for h, c, norm in zip(hits, nonzero, norms, strict=True)
        ]
        shaped = [self._shape(i, x) for i, x in enumerate(inputs)]
        if o.get("unit_rms"):
            powers = [float((u**2).sum()) for u in shaped]
            powers = [sum(powers)] * n if self.pooled else powers
            shaped = [
                u / math.sqrt(power / count) if power else u
                for u, power, count in zip(shaped, powers, nonzero, strict=True)
            ]
        for i, u in enumerate(shaped):
            if nonzero[i]:
                self._move(i, float(o["lr"]) * u)

    def _shape(self, i: int, x: Array) -> Array:
        u = self.beta[i] * np.tanh(x)
        if self.o.get("transform") == "sin":
            u = np.sin(u)
        mixed: Array = self.mix[i] * u + (1 - self.mix[i]) * x / self.alpha[i]
        return mixed

    def _move(self, i: int, step: Array) -> None:
        o = self.o
        if o["momentum"]:
            v = o["momentum"] * self.velocity[i] + (1 - o["dampening"]) * step
            self.velocity[i] = v
            step = step + o["momentum"] * v if o.get("nesterov") else v
        self.params[i] = self.params[i] * (1 - float(o["lr"]) * o["weight_decay"]) - step
