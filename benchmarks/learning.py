"""Do the tasks learn as CleanRL's scripts do? Each with Adam and CleanRL's hyperparameters.

    python benchmarks/learning.py {ppo,td3,dqn} [--seeds 1 2 3] [--processes 2] [--home DIR]

Writes docs/figures/learning/<task>.csv: seed, step, return of episodes without exploration noise,
mean return of the training episodes since the row before. A run that is stopped goes on from its
checkpoints in DIR. `learning_chart.py` draws the curves.
"""

from __future__ import annotations

import argparse
import csv
import multiprocessing
import os
import warnings
from collections import deque
from pathlib import Path
from typing import Any

FIGURES = Path(__file__).parent.parent / "docs" / "figures" / "learning"
COLUMNS = ("seed", "step", "eval_return", "episodic_return")

# What differs from our defaults: CleanRL's PPO has Adam's ε at 1e-5, the others at torch's 1e-8.
PARAMS: dict[str, dict[str, Any]] = {
    "ppo": {"optimizer": "adam", "eps": 1e-5},
    "td3": {"optimizer": "adam", "eps": 1e-8, "checkpoint_interval": 20_000},
    "dqn": {"optimizer": "adam", "eps": 1e-8},
}


class Curve:
    """A trial's channel that writes the returns it hears of into a CSV file."""

    def __init__(self, path: Path, *, seed: int) -> None:
        self.commands: deque[Any] = deque()
        self._path, self._seed = path, seed
        self._returns: list[float] = []

    def send(self, message: Any) -> None:
        """Take note of metrics, and let everything else pass."""
        from alphagrad.tuner.messages import Metrics

        if not isinstance(message, Metrics):
            return
        for which, step, value in zip(message.which, message.steps, message.values, strict=True):
            if message.names[which] == "charts/episodic_return":
                self._returns.append(float(value))
            elif message.names[which] == "charts/eval_return":
                self._write(int(step), float(value))

    def wait_for_verdict(self) -> bool:
        """Nobody prunes."""
        return False

    def _write(self, step: int, value: float) -> None:
        rows = [row for row in read(self._path) if int(row["step"]) < step]
        mean = sum(self._returns) / len(self._returns) if self._returns else float("nan")
        row = (self._seed, step, round(value, 1), round(mean, 1))
        write(self._path, [*rows, dict(zip(COLUMNS, map(str, row), strict=True))])
        self._returns.clear()


def read(path: Path) -> list[dict[str, str]]:
    """Read a curve; one that is not there yet has no rows."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def write(path: Path, rows: list[dict[str, str]]) -> None:
    """Write curves."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


def train(task: str, seed: int, home: Path) -> str:
    """Train with one seed, from its checkpoint if there is one."""
    from alphagrad.tuner import Trial, run_task
    from alphagrad.tuner.checkpoints import CheckpointStore
    from alphagrad.tuner.registry import get_task

    warnings.filterwarnings("ignore", message=".*is out of date", category=DeprecationWarning)
    folder = home / f"{task}-{seed}"
    trial = Trial(
        params=get_task(task).complete(PARAMS[task]),
        seed=seed,
        channel=Curve(folder / "curve.csv", seed=seed),
        checkpoints=CheckpointStore(folder, fence=1),
    )
    return f"{task} seed {seed}: {run_task(task, {}, seed=seed, trial=trial):.1f}"


def main() -> None:
    """Train all seeds and collect their curves."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("task", choices=sorted(PARAMS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--home", type=Path, default=Path(".alphagrad/learning"))
    options = parser.parse_args()
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"  # before anything imports numpy
    with multiprocessing.get_context("spawn").Pool(options.processes, maxtasksperchild=1) as pool:
        runs = [pool.apply_async(train, (options.task, s, options.home)) for s in options.seeds]
        for run in runs:
            print(run.get(), flush=True)
    path = FIGURES / f"{options.task}.csv"
    kept = [row for row in read(path) if int(row["seed"]) not in options.seeds]
    for seed in options.seeds:
        kept += read(options.home / f"{options.task}-{seed}" / "curve.csv")
    write(path, sorted(kept, key=lambda row: (int(row["seed"]), int(row["step"]))))


if __name__ == "__main__":
    main()
