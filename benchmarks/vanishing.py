"""Does a policy come out of its bounds? TD3's first updates on Hopper, for several ε and seeds.

    python benchmarks/vanishing.py [--seeds 12] [--processes 2] [--json FILE] [--plot FILE]

A policy that ends in tanh can be driven to its bounds by the first updates, where its gradient all
but vanishes. Here each run trains for 7,000 steps after the 25,000 random ones. The gradient of
the actor is measured at each of its updates, over all its layers. A run is *dead* where it is
exactly 0 in the last 500: nothing can move the policy again.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import warnings
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch.nn.utils import get_total_norm
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_pre_hook

from alphagrad.studies.td3 import td3
from alphagrad.tuner import Trial

STEPS = 32_000
LAST = 500
PARAMS = {
    "env_id": "Hopper-v4",
    "total_timesteps": STEPS,
    "eval_interval": STEPS,
    "eval_window": 1,
    "momentum": 0.9,
    "eps": 1e-5,
    "learning_rate": 1e-4,
}
SCHEDULED = {"alpha_rule": "saturation"}
ARMS: dict[str, dict[str, Any]] = {
    "SaturationScheduler, ε = 1e-5": SCHEDULED,
    "SaturationScheduler, ε = 1e-8": SCHEDULED | {"eps": 1e-8},
    "SaturationScheduler, ε = 1e-30": SCHEDULED | {"eps": 1e-30},
    "k = 0.3, ε = 1e-5": {"k": 0.3},
    "Adam, η = 3e-4, ε = 1e-5": {"optimizer": "adam", "learning_rate": 3e-4},
}


def train(task: tuple[str, int]) -> dict[str, Any]:
    """Train one arm with one seed."""
    warnings.simplefilter("ignore")
    arm, seed = task
    norms: list[float] = []

    def note(optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        [group] = optimizer.param_groups
        if group["param_names"][0].startswith("actor."):
            norms.append(get_total_norm([p.grad for p in group["params"]]).item())

    hook = register_optimizer_step_pre_hook(note)
    value = td3(Trial(params=PARAMS | ARMS[arm], seed=seed))
    hook.remove()
    return {
        "arm": arm,
        "seed": seed,
        "dead": not any(norms[-LAST:]),
        "return": round(value, 1),
        "norms": [float(f"{norm:.3g}") for norm in norms[::10]],
    }


def main() -> None:
    """Train, print a table, write JSON and a plot."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=12)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--json", type=Path, default=None)
    parser.add_argument("--plot", type=Path, default=None)
    arguments = parser.parse_args()
    tasks = [(arm, seed) for seed in range(1, arguments.seeds + 1) for arm in ARMS]
    with multiprocessing.get_context("spawn").Pool(arguments.processes) as pool:
        found = pool.imap(train, tasks)
        rows = list(track(found, total=len(tasks), description="7,000 updates each"))
    table = Table("arm", "dead", "return, median")
    for arm in ARMS:
        runs = [row for row in rows if row["arm"] == arm]
        dead, value = sum(row["dead"] for row in runs), sorted(row["return"] for row in runs)
        table.add_row(arm, f"{dead} of {len(runs)}", f"{value[len(value) // 2]:.0f}")
    Console().print(table)
    if arguments.json is not None:
        text = json.dumps({"params": PARAMS, "arms": ARMS, "runs": rows}, ensure_ascii=False)
        arguments.json.write_text(text + "\n", encoding="utf-8")
    if arguments.plot is not None:
        from vanishing_chart import draw

        draw(rows, arguments.plot)


if __name__ == "__main__":
    main()
