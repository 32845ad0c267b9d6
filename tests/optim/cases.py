"""One table of option sets, which drives every test of the update's meaning.

As torch's ``OptimizerInfo``: a new option gets a row here and is then tested on each path, type and
norm, against the float64 reference and through the generic expectations of an optimizer.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import torch

PATHS: dict[str, dict[str, Any]] = {
    "loop": {"foreach": False},
    "foreach": {"foreach": True},
    "fused": {"fused": True},
}
DTYPES = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
# The shapes of the tensors that the table's vectors are for.
SHAPES: list[tuple[int, ...]] = [(), (5,), (4, 3), (2, 3, 3, 3), (0,), (700,)]

# Options of AlphaGrad; a list is a vector with one entry per tensor of SHAPES.
OPTIONS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "alpha": {"alpha": 7.3},
    "alphas": {"alpha": [0.5, 3.0, 50.0, 120.25, 7.0, 30.0]},
    "k": {"k": 0.3},
    "eps": {"alpha": 20.0, "eps": 0.5},
    "tau": {"tau": 0.8},
    "momentum": {"momentum": 0.9},
    "dampening": {"momentum": 0.9, "dampening": 0.9},
    "nesterov": {"momentum": 0.8, "nesterov": True},
    "weight_decay": {"weight_decay": 0.3},
    "weight_decay, momentum": {"weight_decay": 0.3, "momentum": 0.9, "alpha": 4.0},
    "weight_decay, nesterov": {"weight_decay": 0.1, "momentum": 0.9, "nesterov": True},
    "maximize": {"maximize": True, "weight_decay": 0.1},
    "maximize, momentum": {"maximize": True, "momentum": 0.9},
    "beta": {"beta": 1.7},
    "betas": {"beta": [0.5, 1.5, 2.0, 1.0, 3.0, 0.25], "momentum": 0.5},
    "mix": {"mix": 0.25, "alpha": 9.0},
    "mixes": {"mix": [0.0, 1.0, 0.5, 0.3, 0.7, 0.9], "momentum": 0.9},
    "mix 0": {"mix": 0.0},
    "mix, beta, maximize": {"mix": 0.6, "beta": 0.7, "maximize": True},
    "no norm": {"norm": "none", "alpha": 3.0, "mix": 0.8, "momentum": 0.5, "lr": 1e-3},
    "sin": {"transform": "sin", "beta": 3.0},
    "sin, mix, momentum": {"transform": "sin", "beta": 2.0, "mix": 0.5, "momentum": 0.9},
    "unit_rms": {"unit_rms": True},
    "unit_rms, mix, momentum": {"unit_rms": True, "mix": 0.5, "momentum": 0.9, "k": 0.02},
    "tensor lr": {"lr": torch.tensor(0.04), "momentum": 0.9, "weight_decay": 0.1},
    "capturable": {"capturable": True, "alpha": 3.0, "beta": 2.0, "mix": 0.5},
}


@dataclass(frozen=True)
class Case:
    """One way to run an AlphaGrad."""

    name: str
    dtype: torch.dtype
    norm: str
    path: str

    @property
    def options(self) -> dict[str, Any]:
        """The optimizer's arguments; with one norm per group, vectors have equal entries."""
        options = dict(OPTIONS[self.name])
        if self.norm == "group":
            for key, value in options.items():
                if isinstance(value, list):
                    options[key] = [value[1]] * len(value)
        return {"lr": 0.05, "eps": 1e-5, "norm": self.norm} | options | PATHS[self.path]

    def __str__(self) -> str:
        return f"{self.name}-{str(self.dtype).removeprefix('torch.')}-{self.norm}-{self.path}"


def runs(name: str, dtype: torch.dtype, path: str) -> bool:
    """Say whether a path takes a row of the table: the native kernel is not for everything."""
    options = OPTIONS[name]
    plain = options.get("transform") != "sin" and options.get("norm") != "none"
    return path != "fused" or (plain and dtype != torch.float16)


CASES = [
    Case(name, dtype, norm, path)
    for name, dtype, norm, path in itertools.product(OPTIONS, DTYPES, ("tensor", "group"), PATHS)
    if runs(name, dtype, path)
]
