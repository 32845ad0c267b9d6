"""Draw the curves that `learning.py` wrote: each seed, and what CleanRL's documentation reports."""

from __future__ import annotations

import csv
from collections import defaultdict
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
from learning import FIGURES

# Mean and deviation of the return over seeds, as CleanRL's documentation gives them.
DOCUMENTED = {
    "ppo": ("PPO, HalfCheetah-v5", 1443.0, 46.0),
    "td3": ("TD3, Hopper-v4", 3135.0, 360.0),
    "dqn": ("DQN, CartPole-v1", 489.0, 0.0),
}


def curves(task: str) -> dict[int, tuple[list[int], list[float]]]:
    """Read steps and returns of the training episodes, by seed."""
    read: dict[int, tuple[list[int], list[float]]] = defaultdict(lambda: ([], []))
    with (FIGURES / f"{task}.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            steps, returns = read[int(row["seed"])]
            steps.append(int(row["step"]))
            returns.append(float(row["episodic_return"]))
    return read


def draw(axes: Any, task: str) -> None:
    """Draw one task."""
    title, mean, deviation = DOCUMENTED[task]
    axes.axhspan(mean - deviation, mean + deviation, color="0.85")
    axes.axhline(mean, color="0.6", linewidth=1, label="CleanRL")
    for seed, (steps, returns) in curves(task).items():
        axes.plot([step / 1e6 for step in steps], returns, label=f"seed {seed}", linewidth=1.2)
    axes.set(title=title, xlabel="million steps", ylabel="return of training episodes")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7)


def main() -> None:
    """Draw every task that has curves."""
    mpl.use("Agg")
    tasks = [task for task in DOCUMENTED if (FIGURES / f"{task}.csv").exists()]
    figure, row = plt.subplots(
        1, len(tasks), figsize=(5 * len(tasks), 4), squeeze=False, layout="constrained"
    )
    for axes, task in zip(row[0], tasks, strict=True):
        draw(axes, task)
    path = FIGURES / "learning.png"
    figure.savefig(path, dpi=110)
    print(f"{path} written")


if __name__ == "__main__":
    main()
