"""Environments for tests, and how gymnasium comes to know one for a while."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.envs.mujoco.hopper_v5 import HopperEnv
from gymnasium.spaces import Box
from numpy.typing import NDArray

from tests.studies.interrupted import StoppedError


class Clock(gym.Env[NDArray[Any], Any]):
    """Shows the steps since its start in a table of two rows, and pays 1 for each.

    It refuses actions that are not in its space.

    Args:
        length: steps after which the task ends; none: never.
        actions: its space of actions.
        blind: whether it shows zeros instead.
    """

    observation_space = Box(0, 1000, (2, 1), np.float64)

    def __init__(
        self,
        *,
        length: int | None = None,
        actions: gym.Space[Any] | None = None,
        blind: bool = False,
    ) -> None:
        self.length = length
        self.blind = blind
        self.action_space = actions or Box(-1, 1, (1,))

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[Any], dict[str, Any]]:
        super().reset(seed=seed)
        self.steps = 0
        return self.look(), {}

    def step(self, action: Any) -> tuple[NDArray[Any], float, bool, bool, dict[str, Any]]:
        if not self.action_space.contains(action):
            raise ValueError(f"{action!r} is not in {self.action_space}")
        self.steps += 1
        return self.look(), 1.0, self.steps == self.length, False, {}

    def look(self) -> NDArray[Any]:
        """Gives what is seen."""
        return np.full((2, 1), 0.0 if self.blind else float(self.steps))


class FragileHopper(HopperEnv):
    """Breaks down once, after so many steps of all its instances."""

    steps_left = 0

    def step(self, action: Any) -> Any:
        FragileHopper.steps_left -= 1
        if FragileHopper.steps_left == 0:
            raise StoppedError
        return super().step(action)  # type: ignore[no-untyped-call]


@contextmanager
def registered(entry_point: Any, *, time_limit: int | None = None, **options: Any) -> Iterator[str]:
    """Gives a name by which gymnasium makes the environment.

    Args:
        entry_point: its class.
        time_limit: steps after which an episode is cut off.
        **options: arguments of the class.
    """
    name = f"Alphagrad{entry_point.__name__}-v0"
    gym.register(name, entry_point=entry_point, max_episode_steps=time_limit, kwargs=options)
    try:
        yield name
    finally:
        del gym.registry[name]
