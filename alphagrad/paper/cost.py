"""What a training costs with each optimizer: CPU seconds, and bytes of the optimizer's state."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from alphagrad.paper.markdown import table
from alphagrad.paper.plan import Plan
from alphagrad.studies.optimizers import build_optimizer
from alphagrad.studies.params import OptimizerParams

SIZE = 10_000
OPTIMIZERS: dict[str, dict[str, Any]] = {
    "Adam": {"optimizer": "adam"},
    "AlphaGrad, momentum 0.9": {"momentum": 0.9},
    "AlphaGrad, momentum 0": {"momentum": 0.0},
    "AlphaGrad, SaturationScheduler, momentum 0.9": {"alpha_rule": "saturation", "momentum": 0.9},
}
RUNNERS = {"Adam": "Adam", "fixed α": "AlphaGrad, k = 0.3", "scheduler": "AlphaGrad, scheduler"}


def state_bytes(params: Mapping[str, Any]) -> float:
    """Bytes of an optimizer's state per float32 parameter, after a step on one tensor.

    Example:
        >>> round(state_bytes({"optimizer": "adam"}), 1), state_bytes({"momentum": 0.0})
        (8.0, 0.0)
    """
    weight = nn.Parameter(torch.zeros(SIZE // 100, 100))
    optimizer, _ = build_optimizer(OptimizerParams(**params), [("weight", weight)])
    weight.grad = torch.ones_like(weight)
    optimizer.step()
    tensors = [one for one in optimizer.state[weight].values() if isinstance(one, torch.Tensor)]
    return sum(one.numel() * one.element_size() for one in tensors) / SIZE


def cost_section(plans: Mapping[str, Plan], measured: Path) -> str:
    """Two tables: memory, and CPU seconds of a training by the measured steps per CPU second.

    Args:
        plans: by task; they say how long a training is.
        measured: what `benchmarks/rl.py` wrote.
    """
    memory = [[name, f"{state_bytes(params):.1f}"] for name, params in OPTIMIZERS.items()]
    rows = json.loads(measured.read_text(encoding="utf-8"))["tasks"]
    rates = {(row["task"], row["runner"]): row["steps_per_cpu_second"]["median"] for row in rows}
    seconds = [
        [
            plan.title,
            *(
                f"{plan.params['total_timesteps'] / rates[task, runner]:.0f}"
                for runner in RUNNERS.values()
            ),
        ]
        for task, plan in plans.items()
    ]
    return "\n\n".join(
        [
            table(["optimizer", "bytes of state per parameter"], memory),
            "CPU seconds of a training apart from evaluations, by the steps per CPU second of "
            "`figures/rl.json`, measured in turn:",
            table(["task", *RUNNERS], seconds),
        ]
    )
