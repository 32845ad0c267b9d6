from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from alphagrad.tuner import TrialPruned
from alphagrad.tuner.checkpoints import CheckpointStore
from tests.studies.environments import Clock, FragileHopper, registered
from tests.studies.interrupted import (
    Line,
    StoppedError,
    assert_identical,
    assert_trained_alike,
    checkpoint_of,
    run,
)

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
        expected = checkpoint_of("ppo", params, tmp_path / "whole", whole)

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
    params = SMALL | {"num_envs": 2, "num_steps": 30, "checkpoint_interval": 60}
    state = checkpoint_of("ppo", params, tmp_path)
    assert state["global_step"] == 600
    assert state["inputs"].shape == (2, 11)
    for number in range(2):
        assert len(state[f"episode{number}"]["actions"]) > 0


def test_both_backends_learn_alike(tmp_path: Path) -> None:
    params = SMALL | {"alpha": 20.0, "learning_rate": 1e-4, "ent_coef": 0.01}
    lines = {"numpy": Line(), "torch": Line()}
    one, other = (
        checkpoint_of("ppo", params | {"backend": backend}, tmp_path / backend, line)
        for backend, line in lines.items()
    )
    metrics, twins = (line.metrics for line in lines.values())
    assert metrics == pytest.approx(twins, rel=1e-2, abs=1e-3)
    assert one["learner"].keys() == other["learner"].keys()
    for name, value in one["learner"].items():
        torch.testing.assert_close(value, other["learner"][name], rtol=1e-3, atol=1e-4)
    assert_identical(one["generators"], other["generators"])


def test_evaluations_leave_the_training_alone(tmp_path: Path) -> None:
    often, seldom = Line(), Line()
    params = SMALL | {"eval_window": 1}
    state = checkpoint_of("ppo", params | {"eval_interval": 64}, tmp_path / "often", often)
    other = checkpoint_of("ppo", params | {"eval_interval": 320}, tmp_path / "seldom", seldom)
    assert len(state.pop("evaluations")) == 10
    assert len(other.pop("evaluations")) == 2
    assert_trained_alike(state, other)
    assert seldom.reports == {step: often.reports[step] for step in (320, 640)}


def test_metrics_tell_of_episodes_losses_and_evaluations() -> None:
    line = Line()
    with registered(Clock, length=7) as name:
        value = run("ppo", SMALL | {"env_id": name, "num_envs": 2, "num_steps": 32}, line)
    columns = {
        name: {step: value for (other, step), value in line.metrics.items() if other == name}
        for name, _ in line.metrics
    }
    # Of each of the two environments; one episode follows the other.
    ends = tuple(range(14, 641, 14))
    for name in ("charts/episodic_return", "charts/episodic_length"):
        assert columns.pop(name) == dict.fromkeys(ends, 7.0)
    assert columns.pop("charts/eval_return") == dict.fromkeys(range(128, 641, 128), 7.0)
    assert value == 7
    assert columns.keys() == {
        "losses/policy_loss",
        "losses/value_loss",
        "losses/entropy",
        "losses/approx_kl",
        "losses/clipfrac",
        "losses/explained_variance",
    }
    assert {tuple(column) for column in columns.values()} == {tuple(range(64, 641, 64))}
    assert max(columns["losses/explained_variance"].values()) <= 1


def test_the_value_is_the_mean_of_the_last_evaluations() -> None:
    line = Line()
    value = run("ppo", SMALL | {"eval_window": 3, "total_timesteps": 700}, line)
    returns = [value for (name, _), value in line.metrics.items() if name == "charts/eval_return"]
    assert list(line.reports) == [128, 256, 384, 512, 640]
    assert line.reports[256] == np.mean(returns[:2])
    assert value == line.reports[640] == np.mean(returns[2:])


@pytest.mark.parametrize(("anneal", "expected"), [(True, 1e-4), (False, 1e-3)])
def test_the_learning_rate_falls_to_zero(tmp_path: Path, anneal: bool, expected: float) -> None:
    params = SMALL | {"learning_rate": 1e-3, "anneal_lr": anneal, "checkpoint_interval": 64}
    state = checkpoint_of("ppo", params, tmp_path)
    # The last of ten rollouts.
    [group] = state["optimizer"]["param_groups"]
    assert group["lr"] == pytest.approx(expected)


def test_a_pruned_trial_ends_at_its_report() -> None:
    line = Line(prune_at=256)
    with pytest.raises(TrialPruned, match="pruned at step 256"):
        run("ppo", SMALL, line)
    assert list(line.reports) == [128, 256]


def test_unfit_spaces_are_named() -> None:
    message = r"'CartPole-v1' has actions in Discrete\(2\), not in a Box"
    with pytest.raises(ValueError, match=message):
        run("ppo", {"env_id": "CartPole-v1"})
