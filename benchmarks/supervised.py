"""Does α need a search? The scheduler against grids of α, on two supervised tasks, in one run.

    python benchmarks/supervised.py [--quick] [--json FILE]

Each rule trains with each learning rate on seeds that are not reported; the one with the best mean
test loss is then trained on the seeds that are. α and the learning rate are coupled, so each rule
gets its own. AlphaGrad runs with momentum 0.9 and ε = 1e-5, as in the paper's experiments.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from control_rules import DYNAG_TAU
from control_rules import dynag as attach_dynag
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy import stats
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from alphagrad.optim import AlphaGrad
from alphagrad.scheduler import SaturationScheduler

LEARNING_RATES = (1e-4, 3e-4, 1e-3, 3e-3)
TUNING_SEEDS = range(100, 110)
SEEDS = range(10)
BATCH = 64

GRID = {f"α = {alpha:g}": alpha for alpha in (1.0, 10.0, 30.0, 98.0, 196.0, 294.0)}

Data = tuple[Tensor, Tensor, Tensor, Tensor]
Named = list[tuple[str, nn.Parameter]]
Maker = Callable[[Named, float], torch.optim.Optimizer]


def alphagrad(named: Named, lr: float, **options: Any) -> AlphaGrad:
    """AlphaGrad as the paper ran it."""
    return AlphaGrad(named, lr=lr, momentum=0.9, eps=1e-5, **options)


def scheduled(named: Named, lr: float, **options: Any) -> AlphaGrad:
    """AlphaGrad under the scheduler, by default with its defaults."""
    optimizer = alphagrad(named, lr)
    SaturationScheduler(optimizer, **options).attach()
    return optimizer


def dynag(named: Named, lr: float) -> AlphaGrad:
    """AlphaGrad under DynAG's rule."""
    optimizer = alphagrad(named, lr, tau=DYNAG_TAU)
    attach_dynag(optimizer, total=sum(p.numel() for _, p in named))
    return optimizer


def rules() -> dict[str, Maker]:
    """Every way of choosing α, and Adam."""
    made: dict[str, Maker] = {
        "SaturationScheduler": scheduled,
        "SaturationScheduler, τ = 2.5": lambda p, lr: scheduled(p, lr, tau=2.5),
    }
    for name, alpha in GRID.items():
        made[name] = lambda p, lr, alpha=alpha: alphagrad(p, lr, alpha=alpha)  # type: ignore[misc]
    for k in (0.3, 1.0, 2.0, 3.0):
        made[f"α = {k:g}·√d"] = lambda p, lr, k=k: alphagrad(p, lr, k=k)  # type: ignore[misc]
    made["DynAG's rule"] = dynag
    made["Adam"] = lambda p, lr: torch.optim.Adam(p, lr=lr, fused=True)
    return made


def digits(seed: int) -> Data:
    """scikit-learn's digits, 1,797 of them, half of them for the test."""
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(x))
    inputs = torch.tensor(x[order] / 16, dtype=torch.float32)
    return split(inputs, torch.tensor(y[order]))


def teacher(seed: int) -> Data:
    """Classes that a random network gives to 12,000 heavy-tailed inputs, 5 % of them at random."""
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.distributions.StudentT(3.0)
    torch.manual_seed(seed)
    x = inputs.sample((12_000, 20))
    hidden = torch.tanh(x @ torch.randn(20, 30, generator=generator) / math.sqrt(20))
    y = (hidden @ torch.randn(30, 5, generator=generator)).argmax(1)
    noisy = torch.rand(len(y), generator=generator) < 0.05
    y[noisy] = torch.randint(5, (int(noisy.sum()),), generator=generator)
    return split(x, y)


def split(x: Tensor, y: Tensor) -> Data:
    """Halve into training and test."""
    half = len(x) // 2
    return x[:half], y[:half], x[half:], y[half:]


# Epochs, for about as many steps each: few enough that the best learning rates are within the grid.
TASKS = {digits: 20, teacher: 6}


def train(data: Data, make: Maker, lr: float, seed: int, epochs: int) -> tuple[float, float]:
    """Train a network with two hidden layers; give its test loss and accuracy."""
    x, y, test_x, test_y = data
    torch.manual_seed(seed)
    classes = int(y.max()) + 1
    width = 128
    model = nn.Sequential(
        nn.Linear(x.shape[1], width),
        nn.ReLU(),
        nn.Linear(width, width),
        nn.ReLU(),
        nn.Linear(width, classes),
    )
    optimizer = make(list(model.named_parameters()), lr)
    for _ in range(epochs):
        for batch in torch.randperm(len(x)).split(BATCH):
            optimizer.zero_grad()
            cross_entropy(model(x[batch]), y[batch]).backward()
            optimizer.step()
    with torch.no_grad():
        out = model(test_x)
        loss = cross_entropy(out, test_y).item()
        accuracy = (out.argmax(1) == test_y).float().mean().item()
    return loss if math.isfinite(loss) else math.inf, accuracy


def compare(task: Callable[[int], Data], *, quick: bool) -> list[dict[str, Any]]:
    """Tune and report every rule on one task."""
    tuning, seeds = (TUNING_SEEDS[:2], SEEDS[:3]) if quick else (TUNING_SEEDS, SEEDS)
    data = {seed: task(seed) for seed in (*tuning, *seeds)}
    rows, epochs = [], TASKS[task]
    for name, make in track(rules().items(), description=task.__name__):
        means = {
            lr: float(np.mean([train(data[s], make, lr, s, epochs)[0] for s in tuning]))
            for lr in LEARNING_RATES
        }
        lr = min(means, key=lambda rate: means[rate])
        runs = np.array([train(data[s], make, lr, s, epochs) for s in seeds])
        rows.append({"rule": name, "lr": lr, "tuning": means} | summary(runs))
    best = min((row for row in rows if row["rule"] in GRID), key=lambda row: row["loss"])
    for row in rows:  # seed by seed, because the seeds' data differ more than the rules do
        apart = np.array(row["losses"]) - best["losses"]
        row["apart"], row["apart_ci"] = apart.mean(), half_width(apart)
    return rows


def summary(runs: np.ndarray[Any, Any]) -> dict[str, Any]:
    """Means with the half width of their 95 % t-interval."""
    loss, accuracy = runs.mean(0)
    return {
        "loss": loss, "loss_ci": half_width(runs[:, 0]), "losses": runs[:, 0].tolist(),
        "accuracy": accuracy, "accuracy_ci": half_width(runs[:, 1]),
    }  # fmt: skip


def half_width(values: np.ndarray[Any, Any]) -> float:
    """Half the width of the 95 % t-interval of a mean."""
    n = len(values)
    return float(stats.t.ppf(0.975, n - 1) * values.std(ddof=1) / math.sqrt(n))


def main() -> None:
    """Compare, print a table per task, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="few seeds")
    parser.add_argument("--json", type=Path, default=None)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    console, results = Console(), {}
    for task in TASKS:
        rows = compare(task, quick=arguments.quick)
        results[task.__name__] = rows
        columns = ("rule", "learning rate", "test loss", "− best of the grid", "test accuracy %")
        table = Table(*columns, title=task.__name__)
        for row in sorted(rows, key=lambda r: r["loss"]):
            table.add_row(
                row["rule"],
                f"{row['lr']:g}",
                f"{row['loss']:.4f} ± {row['loss_ci']:.4f}",
                f"{row['apart']:+.4f} ± {row['apart_ci']:.4f}",
                f"{100 * row['accuracy']:.2f} ± {100 * row['accuracy_ci']:.2f}",
            )
        console.print(table)
    if arguments.json is not None:
        text = json.dumps({"torch": torch.__version__, "tasks": results}, indent=2)
        arguments.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
