from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete

from alphagrad.studies.dqn import GreedyPolicy, evaluate, flat, make_environment, q_network
from alphagrad.tuner import Trial, run_task
from alphagrad.tuner.checkpoints import CheckpointStore
from alphagrad.tuner.registry import get_task

TIME_LIMIT = 5


class Clock(gym.Env[np.ndarray[Any, Any], np.int64]):
    """Shows the steps since its start, pays 1 for each, and never ends by itself."""

    observation_space = Box(0, 1000, (1, 1), np.float64)
    action_space = Discrete(2)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray[Any, Any], dict[str, Any]]:
        super().reset(seed=seed)
        self.steps = 0
        return np.zeros((1, 1)), {}

    def step(
        self, action: np.int64
    ) -> tuple[np.ndarray[Any, Any], float, bool, bool, dict[str, Any]]:
        self.steps += 1
        return np.full((1, 1), float(self.steps)), 1.0, False, False, {}


@pytest.fixture
def clock() -> Iterator[str]:
    name = "AlphagradClock-v0"
    gym.register(name, entry_point=lambda **options: Clock(), max_episode_steps=TIME_LIMIT)
    yield name
    del gym.registry[name]


@pytest.mark.parametrize(
    "params",
    [{"alpha": 10.0, "learning_rate": 3e-4}, {"optimizer": "adam", "learning_rate": 1e-3}],
    ids=["alpha", "adam"],
)
def test_it_learns_cartpole(params: dict[str, Any]) -> None:
    budget = {
        "total_timesteps": 8000,
        "learning_starts": 1000,
        "exploration_fraction": 0.4,
        "train_frequency": 5,
        "eval_interval": 1000,
    }
    values = [run_task("dqn", budget | params, seed=seed) for seed in (1, 2)]
    # A random policy returns 22 on average.
    assert np.mean(values) > 60


def test_a_time_limit_is_not_the_end(clock: str, tmp_path: Path) -> None:
    params = {
        "env_id": clock,
        "total_timesteps": 1500,
        "learning_starts": 50,
        "train_frequency": 1,
        "target_network_frequency": 20,
        "gamma": 0.9,
        "optimizer": "adam",
        "learning_rate": 3e-3,
        "eval_interval": 500,
        "checkpoint_interval": 500,
    }
    checkpoints = CheckpointStore(tmp_path, fence=1)
    task = get_task("dqn")
    assert task(Trial(params=task.complete(params), seed=1, checkpoints=checkpoints)) == TIME_LIMIT

    state = checkpoints.load()
    assert state is not None
    transitions = state["buffer"]
    assert transitions["terminated"].max() == 0
    assert transitions["next_observations"].max() == TIME_LIMIT
    assert torch.equal(transitions["next_observations"], transitions["observations"] + 1)
    q = q_network(1, 2)
    q.load_state_dict(state["q"])
    with torch.no_grad():
        value = q(torch.zeros(1, 1)).max().item()
    # With the bootstrap Σ γᵗ = 10; a bogus end after five steps would leave it at most at 4.1.
    assert value > 7


@pytest.mark.parametrize(
    ("env_id", "message"),
    [
        ("FrozenLake-v1", r"'FrozenLake-v1' has observations in Discrete\(16\), not in a Box"),
        ("Pendulum-v1", r"'Pendulum-v1' has actions in Box.*, not in Discrete"),
    ],
)
def test_unfit_spaces_are_named(env_id: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_environment(env_id)


def test_the_numpy_policy_is_the_torch_network() -> None:
    torch.manual_seed(0)
    network = q_network(4, 3)
    policy = GreedyPolicy(network)
    observations = torch.randn(50, 4)
    for scale in (1.0, -1.0):
        # The policy sees an update in place, as an optimizer makes it.
        with torch.no_grad():
            network.q.weight.mul_(scale)  # type: ignore[union-attr,operator]
            expected = network(observations).argmax(1).tolist()
        assert [policy(row) for row in observations.numpy()] == expected


def test_an_evaluation_depends_on_its_seeds_alone() -> None:
    torch.manual_seed(0)
    policy = GreedyPolicy(q_network(4, 2))
    environment = make_environment("CartPole-v1")
    first = evaluate(environment, policy, [1, 2, 3])
    evaluate(environment, policy, [4])
    assert evaluate(environment, policy, [1, 2, 3]) == first


def test_observations_become_one_float32_row() -> None:
    row = flat(np.ones((2, 3), np.float64))
    assert row.shape == (6,)
    assert row.dtype == np.float32
