from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from alphagrad.tuner import TrialPruned
from alphagrad.tuner.checkpoints import CheckpointStore
from alphagrad.tuner.messages import KnobCommand
from tests.studies.environments import Clock, FragileHopper, registered
from tests.studies.interrupted import (
    Line,
    StoppedError,
    assert_identical,
    assert_resumes_exactly,
    assert_trained_alike,
    checkpoint_of,
    run,
)

SMALL: dict[str, Any] = {
    "env_id": "Hopper-v5",
    "total_timesteps": 400,
    "learning_starts": 100,
    "buffer_size": 250,
    "batch_size": 32,
    "hidden_sizes": (32, 16),
    "eval_interval": 100,
    "eval_episodes": 2,
    "eval_window": 2,
    "checkpoint_interval": 40,
}


@pytest.mark.parametrize(
    "params",
    [
        {"k": 0.3, "learning_rate": 1e-3},
        {"optimizer": "adam", "learning_rate": 2e-3},
    ],
    ids=["alphagrad", "adam"],
)
def test_it_learns_to_swing_up_a_pendulum(params: dict[str, Any]) -> None:
    budget = {
        "env_id": "Pendulum-v1",
        "total_timesteps": 5000,
        "learning_starts": 500,
        "hidden_sizes": (64, 64),
        "batch_size": 128,
        "gamma": 0.95,
        "tau": 0.01,
        "eval_interval": 1000,
        "eval_episodes": 3,
        "eval_window": 1,
    }
    line = Line()
    run("td3", budget | params, line)
    # At most 0; below -1000 for a policy that leaves it hanging. Some learn it and lose it again.
    assert line.reports[1000] < -1000
    assert max(line.reports.values()) > -600


@pytest.mark.parametrize(
    ("number", "params"),
    [
        (0, {"alpha": 20.0}),
        (1, {"alpha_rule": "saturation", "policy_frequency": 3}),
        (2, {"optimizer": "adam"}),
        (3, {"alpha_rule": "saturation", "backend": "torch"}),
    ],
    ids=["alpha", "saturation", "adam", "torch"],
)
@pytest.mark.parametrize("kill", [0, 1])
def test_a_kill_at_any_step_changes_nothing(
    tmp_path: Path, number: int, params: dict[str, Any], kill: int
) -> None:
    with registered(FragileHopper, time_limit=30) as name:
        params = SMALL | {"env_id": name} | params
        whole, before, after = Line(), Line(), Line()
        expected = checkpoint_of("td3", params, tmp_path / "whole", whole)
        assert expected["global_step"] == SMALL["total_timesteps"]

        first, last = ((50, 200), (200, 450))[kill]
        FragileHopper.steps_left = int(np.random.default_rng(number).integers(first, last))
        with pytest.raises(StoppedError):
            run("td3", params, before, folder=tmp_path / "parts")
        middle = CheckpointStore(tmp_path / "parts", fence=1).load()
        assert middle is not None
        torch.manual_seed(0)  # another process has another global generator
        run("td3", params, after, folder=tmp_path / "parts", attempt=2)

    assert 0 < middle["global_step"] < 400
    assert before.reports | after.reports == whole.reports
    assert before.metrics | after.metrics == whole.metrics
    assert min(after.metrics, key=lambda key: key[1])[1] > middle["global_step"]
    assert_identical(CheckpointStore(tmp_path / "parts", fence=2).load(), expected)


def test_a_loss_that_is_not_computed_again_is_resumed(tmp_path: Path) -> None:
    # The checkpoint of step 198 is the last before the evaluation of 200, and so is the actor's
    # step of 198.
    params = SMALL | {"policy_frequency": 3, "checkpoint_interval": 33}
    assert_resumes_exactly("td3", params, stop_at=200, folder=tmp_path)


def test_checkpoints_are_taken_in_the_middle_of_an_episode(tmp_path: Path) -> None:
    params = SMALL | {"checkpoint_interval": 130}
    line = Line()
    state = checkpoint_of("td3", params, tmp_path, line)
    assert state["global_step"] == 390
    begun = max(step for name, step in line.metrics if name.startswith("charts/ep") and step < 390)
    assert 0 < len(state["episode"]["actions"]) == 390 - begun


def test_both_backends_learn_alike(tmp_path: Path) -> None:
    params = SMALL | {"alpha": 20.0, "learning_rate": 1e-5}
    lines = {"numpy": Line(), "torch": Line()}
    one, other = (
        checkpoint_of("td3", params | {"backend": backend}, tmp_path / backend, line)
        for backend, line in lines.items()
    )
    metrics, twins = (line.metrics for line in lines.values())
    assert metrics == pytest.approx(twins, rel=1e-2, abs=1e-3)
    rows = one["buffer"]["rows"], other["buffer"]["rows"]
    torch.testing.assert_close(*rows, rtol=1e-3, atol=1e-3)
    for part, prefix, networks in (
        ("actor", "0.", "networks"),
        ("critics", "1.", "networks"),
        ("target_actor", "0.", "targets"),
        ("target_critics", "1.", "targets"),
    ):
        for name, value in one["learner"][part].items():
            twin = other["learner"][networks][prefix + name]
            torch.testing.assert_close(value, twin, rtol=1e-3, atol=1e-4)


def test_evaluations_leave_the_training_alone(tmp_path: Path) -> None:
    often, seldom = Line(), Line()
    params = SMALL | {"eval_window": 1}
    state = checkpoint_of("td3", params | {"eval_interval": 50}, tmp_path / "often", often)
    other = checkpoint_of("td3", params | {"eval_interval": 200}, tmp_path / "seldom", seldom)
    assert len(state.pop("evaluations")) == 8
    assert len(other.pop("evaluations")) == 2
    assert_trained_alike(state, other)
    assert seldom.reports == {step: often.reports[step] for step in (200, 400)}
    # Nothing was learned so far, and the evaluations start from the same states.
    assert often.reports[50] == often.reports[100]


def test_metrics_tell_of_episodes_losses_and_evaluations() -> None:
    line = Line()
    with registered(Clock, length=7) as name:
        assert run("td3", SMALL | {"env_id": name}, line) == 7
    columns = {
        name: {step: value for (other, step), value in line.metrics.items() if other == name}
        for name, _ in line.metrics
    }
    for name in ("charts/episodic_return", "charts/episodic_length"):
        assert columns.pop(name) == dict.fromkeys(range(7, 400, 7), 7.0)
    assert columns.pop("charts/eval_return") == dict.fromkeys((100, 200, 300, 400), 7.0)
    assert columns.keys() == {
        "losses/qf_loss",
        "losses/qf1_values",
        "losses/qf2_values",
        "losses/actor_loss",
    }
    # Learning begins after 100 steps.
    assert {tuple(column) for column in columns.values()} == {(200, 300, 400)}


def test_the_value_is_the_mean_of_the_last_evaluations() -> None:
    line = Line()
    value = run("td3", SMALL | {"total_timesteps": 450}, line)
    returns = [value for (name, _), value in line.metrics.items() if name == "charts/eval_return"]
    assert list(line.reports) == [100, 200, 300, 400, 450]
    assert line.reports[400] == np.mean(returns[2:4])
    assert value == line.reports[450] == np.mean(returns[3:])


@pytest.mark.parametrize("layers", ["actor.*", "qf1.*"])
def test_the_knob_turns_one_optimizers_layers(tmp_path: Path, layers: str) -> None:
    line = Line()
    line.commands.append(KnobCommand(id=1, layers=layers, alpha=3.0, pin=None))
    state = checkpoint_of("td3", SMALL | {"alpha": 20.0}, tmp_path, line)
    # Three layers, each with a weight and a bias.
    for optimizer, networks in (("optimizer", ("qf1", "qf2")), ("actor_optimizer", ("actor",))):
        [group] = state[optimizer]["param_groups"]
        turned = [f"{network}.*" == layers for network in networks for _ in range(6)]
        alpha = group["alpha"]
        found = alpha.tolist() if isinstance(alpha, torch.Tensor) else [alpha] * len(turned)
        assert found == [3.0 if one else 20.0 for one in turned]


def assert_alphas(state: dict[str, Any], *, critics: float, actor: float) -> None:
    """Each network has one α."""
    for optimizer, alpha in (("optimizer", critics), ("actor_optimizer", actor)):
        [group] = state[optimizer]["param_groups"]
        assert set(torch.as_tensor(group["alpha"]).flatten().tolist()) == {alpha}


def test_a_gradient_of_all_tensors_of_a_network_is_one_layer(tmp_path: Path) -> None:
    line = Line()
    line.commands.append(KnobCommand(id=1, layers="critics", alpha=3.0, pin=None))
    params = SMALL | {"norm": "group", "alpha[actor]": 30.0, "alpha[critics]": 20.0}
    state = checkpoint_of("td3", params, tmp_path, line)
    assert_alphas(state, critics=3.0, actor=30.0)


def test_a_scheduler_may_be_for_one_network_alone(tmp_path: Path) -> None:
    linear = {"alpha_rule": "linear", "alpha_end_factor": 0.5, "alpha_total_steps": 10}
    params = SMALL | linear | {"alpha": 20.0, "alpha_layers": "actor.*"}
    state = checkpoint_of("td3", params, tmp_path, Line())
    assert "actor_scheduler" in state
    assert "scheduler" not in state
    assert_alphas(state, critics=20.0, actor=10.0)
    assert_resumes_exactly("td3", params, stop_at=200, folder=tmp_path / "again")
    with pytest.raises(ValueError, match="nowhere"):
        run("td3", params | {"alpha_layers": "nowhere"})


def test_a_part_of_a_chain_may_be_for_one_network_alone(tmp_path: Path) -> None:
    parts = [
        {"rule": "constant", "alpha": 5.0, "layers": "actor.*"},
        {"rule": "constant", "alpha": 6.0, "layers": "qf*"},
    ]
    params = SMALL | {"alpha_rule": "chained", "alpha_parts": parts}
    state = checkpoint_of("td3", params, tmp_path, Line())
    assert_alphas(state, critics=6.0, actor=5.0)


def test_a_sequence_for_parts_of_networks_is_refused_before_it_starts() -> None:
    parts = [{"rule": "constant", "alpha": 5.0}, {"rule": "sqrt_d", "k": 1.0, "layers": "actor.*"}]
    params = {"alpha_rule": "sequential", "alpha_parts": parts, "alpha_milestones": (50,)}
    with pytest.raises(ValueError, match="each part of a sequence needs layers of each"):
        run("td3", SMALL | params)


def test_a_pruned_trial_ends_at_its_report() -> None:
    line = Line(prune_at=200)
    with pytest.raises(TrialPruned, match="pruned at step 200"):
        run("td3", SMALL, line)
    assert list(line.reports) == [100, 200]


def test_unfit_spaces_are_named() -> None:
    message = r"'CartPole-v1' has actions in Discrete\(2\), not in a Box"
    with pytest.raises(ValueError, match=message):
        run("td3", {"env_id": "CartPole-v1"})
