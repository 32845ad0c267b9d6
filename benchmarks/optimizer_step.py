"""AlphaGrad's step against torch's Adam, on the parameters of a PPO actor-critic, in one run.

    python benchmarks/optimizer_step.py [--json FILE]

One thread; the optimizers take turns; shown is the median over the rounds, microseconds a step.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

import torch

from alphagrad.optim import AlphaGrad

SHAPES = [  # CleanRL's PPO on HalfCheetah-v5: critic, actor mean, actor log-deviation
    (64, 17), (64,), (64, 64), (64,), (1, 64), (1,),
    (64, 17), (64,), (64, 64), (64,), (6, 64), (6,), (1, 6),
]  # fmt: skip
ROUNDS = 15
STEPS = 200


def parameters() -> list[torch.nn.Parameter]:
    """Parameters of the actor-critic, with a gradient each."""
    made = [torch.nn.Parameter(torch.randn(shape)) for shape in SHAPES]
    for parameter in made:
        parameter.grad = torch.randn_like(parameter)
    return made


def microseconds(optimizer: torch.optim.Optimizer) -> float:
    """Mean time of a step over one round."""
    started = time.perf_counter()
    for _ in range(STEPS):
        optimizer.step()
    return (time.perf_counter() - started) / STEPS * 1e6


def main() -> None:
    """Measure, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, default=None)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    cases: dict[str, torch.optim.Optimizer] = {
        "AlphaGrad fused": AlphaGrad(parameters(), fused=True),
        "AlphaGrad fused, momentum": AlphaGrad(parameters(), momentum=0.9, fused=True),
        "AlphaGrad loop": AlphaGrad(parameters(), foreach=False),
        "AlphaGrad foreach": AlphaGrad(parameters(), foreach=True),
        "AlphaGrad loop, momentum": AlphaGrad(parameters(), momentum=0.9, foreach=False),
        "Adam loop": torch.optim.Adam(parameters(), foreach=False),
        "Adam foreach": torch.optim.Adam(parameters(), foreach=True),
        "Adam fused": torch.optim.Adam(parameters(), fused=True),
    }
    for optimizer in cases.values():
        microseconds(optimizer)
    rounds = [{name: microseconds(case) for name, case in cases.items()} for _ in range(ROUNDS)]
    medians = {name: statistics.median(r[name] for r in rounds) for name in cases}
    for name, value in medians.items():
        ratio = value / medians["Adam fused"]
        print(f"{name:<26} {value:8.1f} µs   {ratio:5.2f} × Adam fused")
    if arguments.json is not None:
        result = {"torch": torch.__version__, "unit": "us/step", "median": medians}
        arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
