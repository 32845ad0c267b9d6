"""Environments that tell when they take their first step: Stamped-HalfCheetah-v5 and so on.

gymnasium imports this module for `rl_stamp:Stamped-HalfCheetah-v5`. In a process's first step of
such an environment the seconds since the process was forked are written into a file of the folder
that the environment variable `RL_STAMPS` names. Linux only.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import gymnasium as gym

FOLDER = "RL_STAMPS"
ENV_IDS = ("HalfCheetah-v5", "Hopper-v4", "CartPole-v1")


class Stamp(gym.Wrapper[Any, Any, Any, Any]):
    """An environment that does so."""

    def step(self, action: Any) -> Any:
        """Take a step."""
        file = Path(os.environ[FOLDER]) / str(os.getpid())
        if not file.exists():
            file.write_text(str(age()), encoding="utf-8")
        return self.env.step(action)


def age() -> float:
    """Seconds since this process was forked; the kernel counts in hundredths."""
    after_name = Path("/proc/self/stat").read_text(encoding="utf-8").rpartition(")")[2]
    started = int(after_name.split()[19]) / os.sysconf("SC_CLK_TCK")
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started


def _make(**options: Any) -> gym.Env[Any, Any]:
    env_id: str = options["inner"]
    return Stamp(gym.make(env_id, disable_env_checker=True))


for _env_id in ENV_IDS:
    gym.register(f"Stamped-{_env_id}", entry_point=_make, kwargs={"inner": _env_id})
