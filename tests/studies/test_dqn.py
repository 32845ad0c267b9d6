from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.envs.classic_control import CartPoleEnv
from gymnasium.spaces import Discrete

from alphagrad.studies.dqn_numpy import NumpyDQN
from alphagrad.studies.dqn_params import DQNParams
from alphagrad.studies.mlp import MLP
from alphagrad.tuner import run_task
from alphagrad.tuner.checkpoints import CheckpointStore
from tests.studies.environments import Clock, registered
from tests.studies.interrupted import Line, StoppedError, assert_identical, checkpoint_of, run

TIME_LIMIT = 5
SMALL = {
    "total_timesteps": 1200,
    "learning_starts": 100,
    "buffer_size": 400,
    "batch_size": 32,
    "train_frequency": 5,
    "target_network_frequency": 50,
    "eval_interval": 300,
    "eval_episodes": 2,
    "eval_window": 2,
    "checkpoint_interval": 40,
}


class FragileCartPole(CartPoleEnv):
    """Breaks down once, after so many steps of all its instances."""

    steps_left = 0

    def step(self, action: Any) -> Any:
        FragileCartPole.steps_left -= 1
        if FragileCartPole.steps_left == 0:
            raise StoppedError
        return super().step(action)  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(
    "params",
    [
        {"alpha": 10.0, "learning_rate": 3e-4},
        {"optimizer": "adam", "learning_rate": 1e-3},
    ],
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


@pytest.mark.parametrize(
    ("number", "params"),
    [
        pytest.param(11, {"alpha": 20.0}, id="alpha"),
        pytest.param(1, {"alpha_rule": "saturation", "tau": 0.5}, id="saturation"),
        pytest.param(6, {"optimizer": "adam", "train_frequency": 250}, id="seldom"),
        pytest.param(3, {"alpha_rule": "saturation", "backend": "torch"}, id="torch"),
    ],
)
def test_a_kill_at_any_step_changes_nothing(
    tmp_path: Path, number: int, params: dict[str, Any]
) -> None:
    with registered(FragileCartPole, time_limit=30) as name:
        compare_with_a_killed_trial(SMALL | {"env_id": name} | params, number, tmp_path)


def compare_with_a_killed_trial(params: dict[str, Any], number: int, folder: Path) -> None:
    whole, before, after = Line(), Line(), Line()
    expected = checkpoint_of("dqn", params, folder / "whole", whole)
    assert expected["global_step"] == SMALL["total_timesteps"]

    FragileCartPole.steps_left = int(np.random.default_rng(number).integers(150, 1200))
    with pytest.raises(StoppedError):
        run("dqn", params, before, folder=folder / "parts")
    middle = CheckpointStore(folder / "parts", fence=1).load()
    assert middle is not None
    assert middle["global_step"] % SMALL["checkpoint_interval"] == 0
    torch.manual_seed(0)  # another process has another global generator
    run("dqn", params, after, folder=folder / "parts", attempt=2)

    assert before.reports | after.reports == whole.reports
    assert before.metrics | after.metrics == whole.metrics
    assert min(after.metrics, key=lambda key: key[1])[1] > middle["global_step"]
    assert_identical(CheckpointStore(folder / "parts", fence=2).load(), expected)


def test_checkpoints_are_taken_in_the_middle_of_an_episode(tmp_path: Path) -> None:
    params = SMALL | {"total_timesteps": 400, "checkpoint_interval": 130}
    line = Line()
    state = checkpoint_of("dqn", params, tmp_path, line)
    assert state["global_step"] == 390
    begun = max(step for name, step in line.metrics if name.startswith("charts/ep") and step < 390)
    assert 0 < len(state["episode"]["actions"]) == 390 - begun


@pytest.mark.parametrize(("frequency", "alike"), [(40, True), (60, False)])
def test_the_target_follows_at_its_steps(frequency: int, alike: bool, tmp_path: Path) -> None:
    params = SMALL | {"total_timesteps": 200, "target_network_frequency": frequency}
    learner = checkpoint_of("dqn", params, tmp_path)["learner"]
    same = [torch.equal(value, learner["target"][name]) for name, value in learner["q"].items()]
    assert same == [alike] * 6


def test_a_time_limit_is_not_the_end(tmp_path: Path) -> None:
    params = {
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
    line = Line()
    with registered(Clock, time_limit=TIME_LIMIT, actions=Discrete(2)) as name:
        state = checkpoint_of("dqn", params | {"env_id": name}, tmp_path, line)
    assert set(line.reports.values()) == {TIME_LIMIT}
    rows = state["buffer"]["rows"]
    observation, reached, reward, terminated = rows[:, :2], rows[:, 3:5], rows[:, 5], rows[:, 6]
    assert terminated.max() == 0
    assert reached.max() == TIME_LIMIT
    assert reward.min() == reward.max() == 1
    assert torch.equal(reached, observation + 1)

    learner = NumpyDQN(
        observation_size=2, actions=2, hidden_sizes=(120, 84), generator=torch.Generator()
    )
    learner.load_state_dict(state["learner"])
    value = MLP(learner.q, "q", activation="relu")(np.zeros((1, 1, 2), np.float32)).max()
    # With the bootstrap Σ γᵗ = 10; a bogus end after five steps would leave it at most at 4.1.
    assert value > 7


@pytest.mark.parametrize(
    ("env_id", "message"),
    [
        ("FrozenLake-v1", r"'FrozenLake-v1' has observations in Discrete\(16\), not in a Box"),
        ("Pendulum-v1", r"'Pendulum-v1' has actions in Box.*, not in a Discrete"),
    ],
)
def test_unfit_spaces_are_named(env_id: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        run_task("dqn", {"env_id": env_id}, seed=1)


def test_both_backends_learn_alike(tmp_path: Path) -> None:
    # At random throughout, so both see the same transitions.
    params = SMALL | {"start_e": 1.0, "end_e": 1.0, "alpha": 20.0, "learning_rate": 1e-4}
    lines = {"numpy": Line(), "torch": Line()}
    states = [
        checkpoint_of("dqn", params | {"backend": backend}, tmp_path / backend, line)
        for backend, line in lines.items()
    ]
    one, other = (line.metrics for line in lines.values())
    assert one.keys() == other.keys()
    losses = [key for key in one if key[0].startswith("losses/")]
    assert len(losses) == 2 * 1200 / 300
    assert [one[key] for key in losses] == pytest.approx([other[key] for key in losses], rel=1e-3)
    assert torch.equal(states[0]["buffer"]["rows"], states[1]["buffer"]["rows"])
    for part in ("q", "target"):
        for name, value in states[0]["learner"][part].items():
            torch.testing.assert_close(
                value, states[1]["learner"][part][name], rtol=1e-3, atol=1e-4
            )


def test_metrics_tell_of_episodes_losses_and_evaluations() -> None:
    line = Line()
    value = run("dqn", SMALL, line)
    columns = {
        name: {step: value for (other, step), value in line.metrics.items() if other == name}
        for name, _ in line.metrics
    }
    lengths = columns.pop("charts/episodic_length")
    # CartPole pays 1 a step, and one episode follows the other.
    assert columns.pop("charts/episodic_return") == lengths
    assert list(lengths) == np.cumsum(list(lengths.values())).tolist()
    assert columns.keys() == {
        "losses/td_loss",
        "losses/q_values",
        "charts/epsilon",
        "charts/eval_return",
    }
    assert {tuple(column) for column in columns.values()} == {(300, 600, 900, 1200)}
    returns = list(columns["charts/eval_return"].values())
    assert line.reports[900] == np.mean(returns[1:3])
    assert value == line.reports[1200] == np.mean(returns[2:])
    # From 1 to 0.05 over the first half; the action of step n is chosen after n - 1 steps.
    expected = [1 - 0.95 * 299 / 600, 1 - 0.95 * 599 / 600, 0.05, 0.05]
    assert list(columns["charts/epsilon"].values()) == pytest.approx(expected)


def test_evaluations_start_from_the_same_states_and_leave_the_training_alone(
    tmp_path: Path,
) -> None:
    params = SMALL | {"learning_starts": 1199, "train_frequency": 1}
    line = Line()
    often = checkpoint_of("dqn", params, tmp_path / "often", line)
    seldom = checkpoint_of("dqn", params | {"eval_interval": 1200}, tmp_path / "seldom")
    before_learning = [line.metrics["charts/eval_return", step] for step in (300, 600, 900)]
    assert len(set(before_learning)) == 1
    for part in ("episode", "generators", "learner", "optimizer", "buffer"):
        assert_identical(often[part], seldom[part])


def test_the_defaults_are_those_of_cleanrl() -> None:
    expected = {
        "env_id": "CartPole-v1",
        "total_timesteps": 500_000,
        "learning_rate": 2.5e-4,
        "hidden_sizes": (120, 84),
        "buffer_size": 10_000,
        "gamma": 0.99,
        "tau": 1.0,
        "target_network_frequency": 500,
        "batch_size": 128,
        "start_e": 1.0,
        "end_e": 0.05,
        "exploration_fraction": 0.5,
        "learning_starts": 10_000,
        "train_frequency": 10,
    }
    params = DQNParams().model_dump()
    assert {name: params[name] for name in expected} == expected
