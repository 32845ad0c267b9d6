"""The tasks that are timed, ours and at the same hyperparameters in Stable-Baselines3."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Discrete
from rl_clock import Spent, Stopwatch, Window, clocked

from alphagrad.studies.environment import Episode
from alphagrad.tuner import Trial, run_task
from alphagrad.tuner.registry import get_task

# CleanRL's mean over a whole training. Held, because a random action costs less than a greedy one,
# and a part of a training would have another mix of them.
EPSILON = 0.2875
NEVER = 10**9
FIRST = "AlphaGrad, k = 0.3"
VARIANTS: dict[str, dict[str, Any]] = {
    FIRST: {"optimizer": "alphagrad", "k": 0.3},
    "AlphaGrad, scheduler": {"optimizer": "alphagrad", "alpha_rule": "saturation"},
    "Adam": {"optimizer": "adam"},
}
PEER = "Stable-Baselines3"
SCRIPTS = "CleanRL"
LIMIT = "environment only"


@dataclass(frozen=True)
class Task:
    """A task as it is timed.

    Args:
        name: ours.
        env_id: the environment.
        script: CleanRL's.
        per_update: environment steps per optimizer step.
        window: what is timed.
        quick: the same for a short look.
        eps: Adam's ε in CleanRL.
        params: what differs from our defaults, which are CleanRL's.
        arguments: what differs from the script's defaults.
    """

    name: str
    env_id: str
    script: str
    per_update: float
    window: Window
    quick: Window
    eps: float
    params: dict[str, Any]
    arguments: tuple[str, ...]

    def variant(self, name: str) -> dict[str, Any]:
        """Our parameters for one of `VARIANTS`, without evaluations and checkpoints."""
        shown = {"eval_interval": NEVER, "eval_episodes": 1, "checkpoint_interval": NEVER}
        own = {"env_id": self.env_id, **self.params, **shown, **VARIANTS[name]}
        return own | ({"eps": self.eps} if name == "Adam" else {})

    def window_of(self, *, quick: bool) -> Window:
        """What is timed."""
        return self.quick if quick else self.window


# A rollout of PPO is 2048 steps and 10 epochs of 32 minibatches. TD3 takes a step with its critics'
# optimizer at each step, and with its actor's at each second one.
TASKS = {
    "ppo": Task(
        name="ppo",
        env_id="HalfCheetah-v5",
        script="ppo_continuous_action.py",
        per_update=2048 / 320,
        window=Window(320, 8 * 320),
        quick=Window(320, 2 * 320),
        eps=1e-5,
        params={},
        arguments=("--env-id", "HalfCheetah-v5"),
    ),
    "td3": Task(
        name="td3",
        env_id="Hopper-v4",
        script="td3_continuous_action.py",
        per_update=2 / 3,
        window=Window(300, 3000),
        quick=Window(150, 450),
        eps=1e-8,
        params={},
        arguments=("--env-id", "Hopper-v4"),
    ),
    "dqn": Task(
        name="dqn",
        env_id="CartPole-v1",
        script="dqn.py",
        per_update=10,
        window=Window(30, 2000),
        quick=Window(30, 300),
        eps=1e-8,
        params={"start_e": EPSILON, "end_e": EPSILON},
        arguments=("--start-e", str(EPSILON), "--end-e", str(EPSILON)),
    ),
}


class QuietTrial(Trial):
    """A trial that writes no log."""

    def log(self, message: str) -> None:
        """Drop the message."""


def trial(task: str, params: dict[str, Any], *, seed: int) -> Trial:
    """A trial without a study."""
    return QuietTrial(params=get_task(task).complete(params), seed=seed)


def ours(
    task: str,
    params: dict[str, Any],
    window: Window,
    *,
    seed: int,
    before: Callable[[], None] = lambda: None,
) -> Spent:
    """Time one of our trainings."""
    return clocked(
        lambda: run_task(task, {}, seed=seed, trial=trial(task, params, seed=seed)),
        window,
        before=before,
    )


def peer(task: str, window: Window, *, seed: int) -> Spent:
    """Time the training of Stable-Baselines3."""
    from rl_sb3 import model

    return clocked(lambda: model(task, seed=seed).learn(NEVER), window)


def environment_only(env_id: str, steps: int, *, seed: int) -> Spent:
    """Time random actions, drawn before: what would be left if learning cost nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        kind: Any = Discrete if env_id == TASKS["dqn"].env_id else Box
        episode = Episode(env_id, actions=kind, seed=np.random.SeedSequence(seed))
    random, space = np.random.default_rng(seed), episode.action_space
    actions: list[Any]
    if isinstance(space, Discrete):
        actions = random.integers(int(space.n), size=steps).tolist()
    else:
        drawn = random.uniform(episode.low, episode.high, (steps, episode.low.size))
        actions = list(drawn.astype(np.float32))
    watch = Stopwatch()
    for action in actions:
        if any(episode.act(action)):
            episode.begin()
    return watch.spent()
