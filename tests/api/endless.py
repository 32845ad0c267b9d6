"""A trial of the service that runs for days, for a block."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx

ENDLESS = {
    # It rests at each step: one that trains as fast as it can takes a core from all other tests.
    "env_id": "tests.api.calm_cartpole:CalmCartPole-v1",
    "total_timesteps": 10**9,
    "learning_starts": 200,
    "train_frequency": 2,
    "batch_size": 16,
    "eval_interval": 10**8,
    "learning_rate": 1e-4,
}


@contextmanager
def endless(
    service: httpx.Client, wait_for: Callable[..., Any], name: str, **params: Any
) -> Iterator[str]:
    """Runs one; gives its page's path once there is a trace."""
    spec = {"name": name, "task": "dqn", "n_trials": 1, "seed": 1, "params": ENDLESS | params}
    assert service.post("/v1/studies", json=spec).status_code == 202
    path = f"/studies/{name}/trials/0"
    wait_for(lambda: service.get(f"/v1{path}/alpha").json().get("steps"))
    yield path
    service.post(f"/v1/studies/{name}:cancel")
