"""What tuner.py compares with: plain Optuna on the same kind of database, and Ray Tune."""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any


def plain(job: dict[str, Any]) -> dict[str, Any]:
    """``study.optimize`` in this process: three suggestions, return at once."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    ends: list[float] = []

    def objective(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", 0.0, 1.0)
        trial.suggest_float("y", 0.001, 1.0, log=True)
        trial.suggest_int("z", 0, 9)
        return x

    study = optuna.create_study(
        storage=job["url"].replace("postgresql:", "postgresql+psycopg:"),
        study_name="plain",
        sampler=optuna.samplers.RandomSampler(seed=1),
        pruner=optuna.pruners.NopPruner(),
    )
    study.optimize(
        objective, n_trials=job["trials"], callbacks=[lambda *_: ends.append(time.perf_counter())]
    )
    trial = study.ask()
    took = []
    for step in range(200):
        started = time.perf_counter()
        trial.report(0.5, step)
        trial.should_prune()
        took.append(time.perf_counter() - started)
    return {"between": _between(ends), "report": statistics.median(took)}


def commits(job: dict[str, Any]) -> dict[str, Any]:
    """The least a write can take: one row by the bare driver, committed by itself."""
    took = []
    if job["url"].startswith("sqlite"):
        import sqlite3

        connection: Any = sqlite3.connect(job["url"].removeprefix("sqlite:///"))
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
    else:
        import psycopg

        connection = psycopg.connect(job["url"])
    connection.execute("CREATE TABLE commits (number INTEGER)")
    for _ in range(200):
        started = time.perf_counter()
        connection.execute("INSERT INTO commits VALUES (1)")
        connection.commit()
        took.append(time.perf_counter() - started)
    connection.close()
    return {"commit": statistics.median(took)}


def ray_tune(job: dict[str, Any]) -> dict[str, Any]:
    """Ray Tune with its own searcher and ``reuse_actors=True``: one trial at a time."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray
    from ray import tune

    class AtOnce(tune.Trainable):
        def setup(self, config: dict[str, Any]) -> None:
            self.x = config["x"]

        def step(self) -> dict[str, Any]:
            return {"value": self.x, "done": True}

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            self.x = new_config["x"]
            return True

        def save_checkpoint(self, checkpoint_dir: str) -> None:
            """Nothing is to be kept."""

        def load_checkpoint(self, checkpoint: Any) -> None:
            """Nothing was kept."""

    class Clock(tune.Callback):
        def __init__(self) -> None:
            self.ends: list[float] = []

        def on_trial_complete(self, *args: Any, **options: Any) -> None:
            self.ends.append(time.perf_counter())

    clock = Clock()
    # Connections from this machine alone, as a test has no business on the network.
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, _node_ip_address="127.0.0.1")
    tune.Tuner(
        AtOnce,
        param_space={
            "x": tune.uniform(0.0, 1.0),
            "y": tune.loguniform(0.001, 1.0),
            "z": tune.randint(0, 10),
        },
        tune_config=tune.TuneConfig(
            num_samples=job["trials"], max_concurrent_trials=1, reuse_actors=True
        ),
        run_config=tune.RunConfig(storage_path=job["home"], callbacks=[clock], verbose=0),
    ).fit()
    ray.shutdown()
    return {"between": _between(clock.ends)}


def _between(ends: list[float]) -> list[float]:
    return [after - before for before, after in pairwise(ends)]


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    Path(asked["home"]).mkdir(parents=True, exist_ok=True)
    print(json.dumps({"plain": plain, "commits": commits, "ray": ray_tune}[asked["what"]](asked)))
