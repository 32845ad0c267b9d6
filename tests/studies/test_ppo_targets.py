"""What PPO's values and advantages aim at, and when a rollout is done with."""

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from alphagrad.studies.ppo import _standardise
from alphagrad.studies.ppo_numpy import NumpyPPO
from alphagrad.studies.ppo_params import PPOParams
from tests.studies.environments import Clock, registered
from tests.studies.interrupted import Line, assert_trained_alike, checkpoint_of, run
from tests.studies.test_ppo import SMALL


class Numbered(Clock):
    """Shows a number of its own at every step, so that each has other statistics."""

    made = 0

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        Numbered.made += 1
        self.number = float(Numbered.made)

    def look(self) -> NDArray[Any]:
        return np.full((2, 1), self.number)


def critic_value(state: dict[str, Any], params: dict[str, Any]) -> float:
    """What the critic expects from the state reached last, in units of reward."""
    inputs, norm = state["inputs"], state["reward_norm"]
    learner = NumpyPPO(
        PPOParams(**params),
        observation_size=inputs.shape[1],
        action_size=1,
        generators=[torch.Generator()],
    )
    learner.load_state_dict(state["learner"], 0)
    mean, square = (norm[name][0].item() / norm["count"] for name in ("sum", "squares"))
    value: float = learner.values(inputs[None, :1].numpy()).item()
    return value * math.sqrt(square - mean**2)


@pytest.mark.parametrize(
    ("environment", "steps", "expected"),
    [
        # With the bootstrap Σ γᵗ = 10, wherever a rollout ends.
        pytest.param(
            partial(registered, Clock, time_limit=5, blind=True),
            {"num_steps": 100},
            10.0,
            id="limit",
        ),
        pytest.param(
            partial(registered, Numbered, time_limit=5),
            {"num_steps": 52, "num_envs": 2},
            10.0,
            id="limit-of-two",
        ),
        # (1 + 1.9 + 2.71 + 3.44 + 4.10) / 5, also where the limit comes with the end.
        pytest.param(
            partial(registered, Clock, length=5, blind=True), {"num_steps": 100}, 2.629, id="end"
        ),
        pytest.param(
            partial(registered, Clock, length=5, time_limit=5, blind=True),
            {"num_steps": 50, "num_envs": 2},
            2.629,
            id="both",
        ),
        # Nor is a limit anything else than an end without the bootstrap.
        pytest.param(
            partial(registered, Clock, time_limit=5, blind=True),
            {"num_steps": 100, "time_limit_bootstrap": False},
            2.629,
            id="limit-as-end",
        ),
        # 1 + γ from the first of two states; every other rollout ends between them.
        pytest.param(
            partial(registered, Clock, length=2),
            {"num_steps": 3, "num_envs": 2, "total_timesteps": 1500, "update_epochs": 5},
            1.9,
            id="rollouts",
        ),
    ],
)
def test_a_time_limit_is_not_the_end(
    tmp_path: Path,
    environment: Callable[[], AbstractContextManager[str]],
    steps: dict[str, int],
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
    with environment() as name:
        state = checkpoint_of("ppo", params | {"env_id": name}, tmp_path)
    assert critic_value(state, params) == pytest.approx(expected, rel=0.05)


def test_advantages_are_standardised_in_each_minibatch() -> None:
    advantage = np.random.default_rng(0).normal(3, 2, size=(2, 30)).astype(np.float32)
    expected = torch.from_numpy(advantage.copy()).reshape(2, 3, 10)
    expected = (expected - expected.mean(2, keepdim=True)) / expected.std(2, keepdim=True)
    _standardise(advantage, parts=3)
    torch.testing.assert_close(torch.from_numpy(advantage), expected.reshape(2, 30))


@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_a_rollouts_first_minibatch_is_of_the_policy_that_acted(backend: str) -> None:
    # Many actions are clipped at their bounds: what counts is what the policy drew.
    line = Line()
    options = {"num_minibatches": 1, "update_epochs": 1, "backend": backend, "k": 0.3}
    run("ppo", SMALL | options, line)
    for step in range(64, 641, 64):
        assert line.metrics["losses/approx_kl", step] == pytest.approx(0, abs=1e-6)
        assert line.metrics["losses/clipfrac", step] == 0
        # The advantages have mean 0 in a minibatch.
        assert line.metrics["losses/policy_loss", step] == pytest.approx(0, abs=1e-6)
    line = Line()
    run("ppo", SMALL | options | {"norm_adv": False}, line)
    assert abs(line.metrics["losses/policy_loss", 64]) > 0.01


@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_a_bound_of_the_divergence_ends_the_epochs(tmp_path: Path, backend: str) -> None:
    params = SMALL | {"backend": backend, "alpha": 20.0, "checkpoint_interval": 64}
    # Any change is too much, so what follows the first epoch is left out.
    bounded, single, free = Line(), Line(), Line()
    state = checkpoint_of("ppo", params | {"target_kl": 1e-12}, tmp_path / "bounded", bounded)
    expected = checkpoint_of("ppo", params | {"update_epochs": 1}, tmp_path / "single", single)
    assert_trained_alike(state, expected)
    assert bounded.reports == single.reports
    assert bounded.metrics == single.metrics
    # A bound that is never reached bounds nothing.
    state = checkpoint_of("ppo", params | {"target_kl": 1e9}, tmp_path / "high", free)
    assert_trained_alike(state, checkpoint_of("ppo", params, tmp_path / "free"))
    assert free.metrics != single.metrics
