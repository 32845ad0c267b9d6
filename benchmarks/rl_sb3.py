"""Stable-Baselines3 at CleanRL's hyperparameters, which are our defaults."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from rl_tasks import EPSILON, TASKS
from stable_baselines3 import DQN, PPO, TD3
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize


def model(task: str, *, seed: int) -> BaseAlgorithm:
    """Make an algorithm; nothing is logged, as nothing is in our own training."""
    made: BaseAlgorithm = {"ppo": _ppo, "td3": _td3, "dqn": _dqn}[task](
        device="cpu", seed=seed, **COMMON[task]
    )
    made.set_logger(Logger(folder=None, output_formats=[]))
    return made


# The optimizers' ε are those of Stable-Baselines3, and CleanRL's too: 1e-5 for PPO, else 1e-8.
COMMON: dict[str, dict[str, Any]] = {
    "ppo": {
        "learning_rate": 3e-4,  # CleanRL anneals it, which costs nothing
        "n_steps": 2048,
        "batch_size": 64,
        "n_epochs": 10,
        "gamma": 0.99,
        "gae_lambda": 0.95,
        "clip_range": 0.2,
        "clip_range_vf": 0.2,
        "ent_coef": 0.0,
        "vf_coef": 0.5,
        "max_grad_norm": 0.5,
        "policy_kwargs": {"net_arch": {"pi": [64, 64], "vf": [64, 64]}},
    },
    "td3": {
        "learning_rate": 3e-4,
        "buffer_size": 1_000_000,
        "learning_starts": 25_000,
        "batch_size": 256,
        "tau": 0.005,
        "gamma": 0.99,
        "train_freq": 1,
        "gradient_steps": 1,
        "policy_delay": 2,
        "target_policy_noise": 0.2,
        "target_noise_clip": 0.5,
        "policy_kwargs": {"net_arch": [256, 256]},
    },
    "dqn": {
        "learning_rate": 2.5e-4,
        "buffer_size": 10_000,
        "learning_starts": 10_000,
        "batch_size": 128,
        "tau": 1.0,
        "gamma": 0.99,
        "train_freq": 10,
        "gradient_steps": 1,
        "target_update_interval": 500,
        "exploration_initial_eps": EPSILON,
        "exploration_final_eps": EPSILON,
        "max_grad_norm": float("inf"),  # CleanRL has no bound; it cannot be left out here
        "policy_kwargs": {"net_arch": [120, 84]},
    },
}


def _environment(task: str) -> Monitor[Any, Any]:
    return Monitor(gym.make(TASKS[task].env_id, disable_env_checker=True))


def _ppo(**options: Any) -> PPO:
    vector = DummyVecEnv([lambda: _environment("ppo")])
    return PPO("MlpPolicy", VecNormalize(vector, gamma=0.99), **options)


def _td3(**options: Any) -> TD3:
    environment = _environment("td3")
    mean = np.zeros_like(environment.action_space.sample())
    noise = NormalActionNoise(mean, mean + 0.1)
    return TD3("MlpPolicy", environment, action_noise=noise, **options)


def _dqn(**options: Any) -> DQN:
    return DQN("MlpPolicy", _environment("dqn"), **options)
