"""A trial of the service that runs for days, for a block."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx

ENDLESS = {
    "total_timesteps": 10**9,
    "learning_starts": 200,
    "train_frequency": 2,
    "batch_size": 16,
    "eval_interval": 2000,
    "learning_rate": 1e-4,
    "alpha": 20.0,
}


@contextmanager
def endless(service: httpx.Client, wait_for: Callable[..., Any], name: str) -> Iterator[str]:
    """Runs one; gives its page's path once there is a trace."""
    spec = {"name": name, "task": "dqn", "n_trials": 1, "seed": 1, "params": ENDLESS}
    assert service.post("/v1/studies", json=spec).status_code == 202
    path = f"/studies/{name}/trials/0"
    wait_for(lambda: service.get(f"/v1{path}/alpha").json().get("steps"))
    yield path
    service.post(f"/v1/studies/{name}:cancel")
