"""CartPole that rests at each step: a trial that runs all through a module leaves others a core.

``env_id = "tests.api.calm_cartpole:CalmCartPole-v1"``: gymnasium imports this module for it.
"""

from __future__ import annotations

import time
from typing import Any

import gymnasium
from gymnasium.envs.classic_control import CartPoleEnv

REST_SECONDS = 0.004


class CalmCartPole(CartPoleEnv):
    """At most 250 steps a second."""

    def step(self, action: Any) -> Any:
        """As CartPole's, later."""
        time.sleep(REST_SECONDS)
        return super().step(action)  # type: ignore[no-untyped-call]


gymnasium.register("CalmCartPole-v1", f"{__name__}:CalmCartPole", max_episode_steps=500)
