from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from alphagrad.studies.ppo_numpy import NumpyPPO
from alphagrad.studies.ppo_params import PPOParams
from alphagrad.tuner import TrialPruned
from alphagrad.tuner.checkpoints import CheckpointStore
from tests.studies.environments import Clock, FragileHopper, registered
from tests.studies.interrupted import Line, StoppedError, assert_identical, run

SMALL: dict[str, Any] = {
    "env_id": "Hopper-v5",
    "total_timesteps": 640,
    "num_steps": 64,
    "num_minibatches": 4,
    "update_epochs": 3,
    "hidden_sizes": (16, 16),
    "eval_interval": 128,
    "eval_episodes": 2,
    "checkpoint_interval": 128,
}


def checkpoint_of(params: dict[str, Any], folder: Path, line: Line | None = None) -> dict[str, Any]:
    """The last checkpoint of a trial that runs to its end."""
    run("ppo", params, line, folder=folder)
    state = CheckpointStore(folder, fence=1).load()
    assert state is not None
    return state


@pytest.mark.parametrize(
    "params",
    [
        {"k": 0.3, "learning_rate": 5e-4},
        {"optimizer": "adam", "learning_rate": 2e-3},
    ],
    ids=["alpha", "adam"],
)
def test_it_learns_to_balance_a_pendulum(params: dict[str, Any]) -> None:
    budget = {
        "env_id": "InvertedPendulum-v5",
        "total_timesteps": 12_288,
        "num_steps": 512,
        "num_minibatches": 8,
        "hidden_sizes": (32,),
        "eval_interval": 12_288,
        "eval_episodes": 2,
    } | params
    # At most 1000. The policy before training holds it for about 30 steps.
    assert run("ppo", budget | {"total_timesteps": 512}) < 200
    assert run("ppo", budget) > 500


@pytest.mark.parametrize(
    ("number", "params"),
    [
        (0, {"alpha": 20.0}),
        (1, {"alpha_rule": "saturation", "num_envs": 2, "anneal_lr": False}),
        (2, {"optimizer": "adam", "total_timesteps": 660}),
        (3, {"alpha_rule": "saturation", "backend": "torch"}),
    ],
    ids=["alpha", "saturation", "adam", "torch"],
)
@pytest.mark.parametrize("kill", [0, 1])
def test_a_kill_at_any_step_changes_nothing(
    tmp_path: Path, number: int, params: dict[str, Any], kill: int
) -> None:
    with registered(FragileHopper, time_limit=25) as name:
        params = SMALL | {"env_id": name} | params
        whole, before, after = Line(), Line(), Line()
        expected = checkpoint_of(params, tmp_path / "whole", whole)

        first, last = ((150, 400), (400, 700))[kill]
        FragileHopper.steps_left = int(np.random.default_rng(number).integers(first, last))
        with pytest.raises(StoppedError):
            run("ppo", params, before, folder=tmp_path / "parts")
        middle = CheckpointStore(tmp_path / "parts", fence=1).load()
        assert middle is not None
        torch.manual_seed(0)  # another process has another global generator
        run("ppo", params, after, folder=tmp_path / "parts", attempt=2)

    assert expected["global_step"] == 640 > middle["global_step"] > 0
    assert before.reports | after.reports == whole.reports
    assert before.metrics | after.metrics == whole.metrics
    assert min(after.metrics, key=lambda key: key[1])[1] > middle["global_step"]
    assert_identical(CheckpointStore(tmp_path / "parts", fence=2).load(), expected)


def test_checkpoints_are_taken_in_the_middle_of_an_episode(tmp_path: Path) -> None:
    state = checkpoint_of(SMALL | {"num_envs": 2, "num_steps": 30}, tmp_path)
    assert state["global_step"] == 600
    assert state["inputs"].shape == (2, 11)
    for number in range(2):
        assert len(state[f"episode{number}"]["actions"]) > 0


def critic_value(state: dict[str, Any], params: dict[str, Any], *, size: int) -> float:
    """What the critic expects where all is zero, in units of reward."""
    learner = NumpyPPO(
        PPOParams(**params), observation_size=size, action_size=1, generators=[torch.Generator()]
    )
    learner.load_state_dict(state["learner"], 0)
    norm = state["reward_norm"]
    mean = norm["sum"][0] / norm["count"]
    deviation = float(norm["squares"][0] / norm["count"] - mean**2) ** 0.5
    return learner.values(np.zeros((1, 1, size), np.float32)).item() * deviation


@pytest.mark.parametrize(
    ("steps", "limit", "length", "expected"),
    [
        # With the bootstrap Σ γᵗ = 10, wherever a rollout ends.
        pytest.param({"num_steps": 100}, 5, None, 10.0, id="limit"),
        pytest.param({"num_steps": 52, "num_envs": 2}, 5, None, 10.0, id="limit-of-two"),
        # (1 + 1.9 + 2.71 + 3.44 + 4.10) / 5, also where the limit comes with the end.
        pytest.param({"num_steps": 100}, 1000, 5, 2.629, id="end"),
        pytest.param({"num_steps": 50, "num_envs": 2}, 5, 5, 2.629, id="both"),
    ],
)
def test_a_time_limit_is_not_the_end(
    tmp_path: Path,
    steps: dict[str, int],
    limit: int,
    length: int | None,
    expected: float,
) -> None:
    params = {
        "total_timesteps": 3000,
        "num_minibatches": 2,
        "gamma": 0.9,
        "gae_lambda": 1.0,
        "clip_vloss": False,
        "optimizer": "adam",
        "learning_rate": 0.01,
        "hidden_sizes": (8,),
        "eval_interval": 10_000,
        "eval_episodes": 1,
        "checkpoint_interval": 100,
    } | steps
    with registered(Clock, time_limit=limit, length=length, blind=True) as name:
        state = checkpoint_of(params | {"env_id": name}, tmp_path)
    value = critic_value(state, params | {"env_id": name}, size=2)
    assert value == pytest.approx(expected, rel=0.05)
