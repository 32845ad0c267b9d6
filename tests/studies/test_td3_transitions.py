"""What TD3 does, remembers and waits for."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from alphagrad.studies.replay import ReplayBuffer
from alphagrad.studies.td3_numpy import NumpyTD3
from tests.studies.environments import Clock, registered
from tests.studies.interrupted import Line, assert_identical, checkpoint_of
from tests.studies.test_td3 import SMALL


def test_transitions_are_those_of_the_environment(tmp_path: Path) -> None:
    with registered(Clock, time_limit=7) as name:
        state = checkpoint_of("td3", SMALL | {"env_id": name, "buffer_size": 1000}, tmp_path)
    observation, again, action, reached, _, reward, terminated = state["buffer"]["rows"].T
    # What was reached at a time limit is no first observation of the next episode.
    assert observation.tolist() == [step % 7 for step in range(400)]
    assert torch.equal(again, observation)
    assert torch.equal(reached, observation + 1)
    assert (reward == 1).all()
    assert not terminated.any()
    # At random at first: uniform from bound to bound.
    first = action[:100]
    assert -1 <= first.min() < -0.9
    assert 0.9 < first.max() <= 1
    assert abs(first.mean()) < 0.2


def test_noise_is_in_half_ranges_and_within_the_bounds(tmp_path: Path) -> None:
    params = SMALL | {
        "env_id": "InvertedPendulum-v5",
        "learning_rate": 1e-9,
        "learning_starts": 1,
        "buffer_size": 400,
        "checkpoint_interval": 400,
    }
    actions = {}
    for noise in (0.0, 0.1, 5.0):
        folder = tmp_path / str(noise)
        state = checkpoint_of("td3", params | {"exploration_noise": noise}, folder)
        actions[noise] = state["buffer"]["rows"][1:, 4].numpy()
    # The policy hardly moves from its weights, which ask for about the same everywhere.
    assert actions[0.0].std() < 0.25
    assert actions[0.1].std() == pytest.approx(np.hypot(0.3, actions[0.0].std()), rel=0.2)
    assert set(actions[5.0][abs(actions[5.0]) > 2.999]) == {-3, 3}


def test_the_target_policys_noise_is_bounded_in_half_ranges(tmp_path: Path) -> None:
    params = SMALL | {"env_id": "InvertedPendulum-v5", "total_timesteps": 120}

    def critics(policy_noise: float, noise_clip: float) -> dict[str, torch.Tensor]:
        options = {"policy_noise": policy_noise, "noise_clip": noise_clip}
        state = checkpoint_of("td3", params | options, tmp_path / f"{policy_noise} {noise_clip}")
        found: dict[str, torch.Tensor] = state["learner"]["critics"]
        return found

    assert_identical(critics(0.2, 0.0), critics(0.0, 0.5))
    # Twice the half range of 3 leads to a bound from anywhere.
    far = critics(1000.0, 1000.0)
    assert_identical(critics(1000.0, 2.0), far)
    every = [critics(1000.0, 0.5), critics(0.2, 0.5), far]
    assert len({one["qf1.hidden1.weight"].sum().item() for one in every}) == 3


def q_value(state: dict[str, Any], *, hidden: tuple[int, ...]) -> float:
    """What the first critic expects of the actor's action where all is zero."""
    low, high = np.full(1, -1, np.float32), np.ones(1, np.float32)
    learner = NumpyTD3(
        observation_size=2, low=low, high=high, hidden_sizes=hidden, generator=torch.Generator()
    )
    learner.load_state_dict(state["learner"])
    buffer = ReplayBuffer(1, observation_size=2, action_size=1)
    buffer.add(np.zeros(2), 0, np.zeros(2), reward=0, terminated=False)
    return -learner.actor_step(buffer.sample(1, np.random.default_rng()))["losses/actor_loss"]


@pytest.mark.parametrize(
    ("limit", "length", "expected"),
    [
        # With the bootstrap Σ γᵗ = 10; without, an end after one step leaves 1.
        pytest.param(1, None, 10.0, id="limit"),
        pytest.param(5, 1, 1.0, id="end"),
        pytest.param(1, 1, 1.0, id="both"),
    ],
)
def test_a_time_limit_is_not_the_end(
    tmp_path: Path, limit: int, length: int | None, expected: float
) -> None:
    params = {
        "total_timesteps": 800,
        "learning_starts": 20,
        "batch_size": 16,
        "gamma": 0.9,
        "tau": 0.2,
        "optimizer": "adam",
        "learning_rate": 0.01,
        "hidden_sizes": (8,),
        "eval_interval": 400,
        "checkpoint_interval": 800,
    }
    with registered(Clock, time_limit=limit, length=length, blind=True) as name:
        line = Line()
        state = checkpoint_of("td3", params | {"env_id": name}, tmp_path, line)
    assert set(line.reports.values()) == {1.0}
    terminated = state["buffer"]["rows"][:, -1]
    assert terminated.min() == terminated.max() == (length is not None)
    assert q_value(state, hidden=(8,)) == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("frequency", [1, 3])
def test_actor_and_targets_wait_for_the_critics(tmp_path: Path, frequency: int) -> None:
    params = SMALL | {"optimizer": "adam", "policy_frequency": frequency}
    state = checkpoint_of("td3", params, tmp_path)
    [critic, actor] = (state[name]["state"][0]["step"] for name in ("optimizer", "actor_optimizer"))
    assert critic == 300
    assert actor == 300 // frequency
    still = checkpoint_of("td3", params | {"policy_frequency": 1000}, tmp_path / "still")
    assert not still["actor_optimizer"]["state"]
    for name in ("actor", "critics"):
        learner = still["learner"]
        moved = [not torch.equal(v, learner[f"target_{name}"][n]) for n, v in learner[name].items()]
        assert any(moved) == (name == "critics")


@pytest.mark.parametrize("tau", [0.005, 1.0])
def test_targets_follow_by_tau(tmp_path: Path, tau: float) -> None:
    options = {"tau": tau, "policy_frequency": 1, "optimizer": "adam"}
    learner = checkpoint_of("td3", SMALL | options, tmp_path)["learner"]
    apart = learner["critics"]["qf1.output.weight"] - learner["target_critics"]["qf1.output.weight"]
    assert (apart.abs().max() < 1e-6) == (tau == 1)
