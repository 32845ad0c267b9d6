"""The gradients of TD3's losses written by hand are those of torch's autograd."""

from typing import Any

import numpy as np
import pytest
import torch

from alphagrad.studies.flat_parameters import Array
from alphagrad.studies.replay import Batch, ReplayBuffer
from alphagrad.studies.td3_numpy import NumpyTD3
from alphagrad.studies.td3_torch import TorchTD3

OBSERVATION, STEPS = 5, 128
LOW = np.array([-1, -2, 0], np.float32)
HIGH = np.array([1, 3, 1], np.float32)
HIDDEN: list[Any] = [
    pytest.param((256, 256), id="defaults"),
    pytest.param((33, 17, 9), id="three-layers"),
    pytest.param((), id="linear"),
]


def sizes_of(hidden: tuple[int, ...], *, seed: int) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(seed)
    sizes = {"observation_size": OBSERVATION, "low": LOW, "high": HIGH, "hidden_sizes": hidden}
    return sizes | {"generator": generator}


def learners(hidden: tuple[int, ...] = (32, 16)) -> tuple[NumpyTD3, TorchTD3]:
    """Networks in numpy, their targets apart from them, and the same in torch."""
    one = NumpyTD3(**sizes_of(hidden, seed=1))
    rng = np.random.default_rng(1)
    for flat in (one.actor, one.critics):
        flat.values += rng.normal(0, 0.1, flat.values.shape)
    other = TorchTD3(**sizes_of(hidden, seed=2), device="cpu")
    load(other, one.state_dict())
    return one, other


def load(learner: TorchTD3, state: dict[str, dict[str, torch.Tensor]]) -> None:
    """Puts numpy's parameters into torch's networks, which have a number before their names."""

    def networks(actor: str, critics: str) -> dict[str, torch.Tensor]:
        numbered = {f"0.{name}": value for name, value in state[actor].items()}
        return numbered | {f"1.{name}": value for name, value in state[critics].items()}

    learner.load_state_dict(
        {
            "networks": networks("actor", "critics"),
            "targets": networks("target_actor", "target_critics"),
        }
    )


def batch_and_noise(*, seed: int = 0) -> tuple[Batch, Array]:
    """Transitions, and noise that takes many actions beyond their bounds."""
    rng = np.random.default_rng(seed)
    buffer = ReplayBuffer(500, observation_size=OBSERVATION, action_size=3)
    for _ in range(500):
        buffer.add(
            rng.normal(size=OBSERVATION),
            rng.uniform(LOW, HIGH),
            rng.normal(size=OBSERVATION),
            reward=rng.normal(),
            terminated=rng.random() < 0.2,
        )
    return buffer.sample(STEPS, rng), rng.normal(size=(STEPS, 3)).astype(np.float32)


def assert_same_gradients(flat: Any, module: Any) -> None:
    expected = {name: parameter.grad for name, parameter in module.named_parameters()}
    assert list(expected) == [name for name, _ in flat.named_parameters()]
    for name, parameter in flat.named_parameters():
        grad, other = parameter.grad, expected[name]
        assert other is not None
        assert (grad - other).norm() <= 1e-5 * other.norm(), name


@pytest.mark.parametrize("hidden", HIDDEN)
def test_those_of_the_critics_are(hidden: tuple[int, ...]) -> None:
    one, other = learners(hidden)
    # The second replaces the gradients of the first.
    for seed in (0, 1):
        batch, noise = batch_and_noise(seed=seed)
        metrics = one.critic_step(batch, noise=noise, gamma=0.9)
        twins = other.critic_step(batch, noise=noise, gamma=0.9)
        assert metrics == pytest.approx(twins, rel=1e-5, abs=1e-6)
        assert_same_gradients(one.critics, other.critics)


@pytest.mark.parametrize("hidden", HIDDEN)
def test_those_of_the_actor_are(hidden: tuple[int, ...]) -> None:
    one, other = learners(hidden)
    for seed in (0, 1):
        batch, _ = batch_and_noise(seed=seed)
        metrics = one.actor_step(batch)
        assert metrics == pytest.approx(other.actor_step(batch), rel=1e-5, abs=1e-6)
        assert_same_gradients(one.actor, other.actor)


def test_the_actors_loss_leaves_the_critics_gradients() -> None:
    one, _ = learners()
    batch, noise = batch_and_noise()
    one.critic_step(batch, noise=noise, gamma=0.9)
    before = one.critics.grads.copy()
    one.actor_step(batch)
    assert np.array_equal(one.critics.grads, before)


def test_the_errors_are_those_of_the_bellman_equation() -> None:
    one, other = learners(())
    for flat in (one.actor, one.critics):
        flat.values[:] = 0
    one.actor.array("actor.output.bias")[:] = 0.5
    # Q adds up the actions; that of the second is lower by 1.
    for name, offset in (("qf1", 2.0), ("qf2", 1.0)):
        one.critics.array(f"{name}.output.weight")[0, 0, OBSERVATION:] = 1
        one.critics.array(f"{name}.output.bias")[:] = offset
    one.update_targets(1.0)
    load(other, one.state_dict())
    batch, noise = batch_and_noise()
    aim = np.tanh(0.5) * (HIGH - LOW) / 2 + (HIGH + LOW) / 2
    reached = (aim + noise).clip(LOW, HIGH).sum(1) + 1
    goal = batch.reward + 0.9 * (batch.terminated == 0) * reached
    values = batch.action.sum(1)[:, None] + [2, 1]
    errors = values - goal[:, None]
    for learner in (one, other):
        metrics = learner.critic_step(batch, noise=noise, gamma=0.9)
        assert metrics["losses/qf_loss"] == pytest.approx(np.square(errors).mean(0).sum(), rel=1e-5)
        assert metrics["losses/qf1_values"] == pytest.approx(values[:, 0].mean(), rel=1e-5)
        assert metrics["losses/qf2_values"] == pytest.approx(values[:, 1].mean(), rel=1e-5)
        actor = learner.actor_step(batch)["losses/actor_loss"]
        assert actor == pytest.approx(-(aim.sum() + 2), rel=1e-5)
    bias = one.critics.grad("qf2.output.bias").item()
    assert bias == pytest.approx(2 * errors[:, 1].mean(), rel=1e-4)


@pytest.mark.parametrize("tau", [0.25, 1.0])
def test_the_targets_follow_alike(tau: float) -> None:
    one, other = learners()
    before = one.state_dict()
    one.update_targets(tau)
    other.update_targets(tau)
    state = one.state_dict()
    twin = TorchTD3(**sizes_of((32, 16), seed=3), device="cpu")
    load(twin, state)
    found, expected = twin.state_dict(), other.state_dict()
    for name, value in expected["targets"].items():
        torch.testing.assert_close(found["targets"][name], value, rtol=1e-5, atol=1e-7)
    for name in ("actor", "critics"):
        for key, value in state[name].items():
            assert torch.equal(value, before[name][key])
            target = before[f"target_{name}"][key]
            expected_value = (1 - tau) * target + tau * value
            torch.testing.assert_close(state[f"target_{name}"][key], expected_value)
            assert not torch.equal(state[f"target_{name}"][key], target)


def test_both_act_alike_within_the_bounds() -> None:
    one, other = learners()
    one.actor.values *= 3
    load(other, one.state_dict())
    rows = np.random.default_rng(0).normal(size=(50, OBSERVATION)).astype(np.float32)
    actions = np.array([one.act(row) for row in rows])
    assert actions.dtype == np.float32
    assert actions == pytest.approx(np.array([other.act(row) for row in rows]), rel=1e-4, abs=1e-5)
    assert (actions >= LOW).all()
    assert (actions <= HIGH).all()
    # They use the whole range.
    assert (np.ptp(actions, axis=0) > 0.5 * (HIGH - LOW)).all()


def test_the_same_seed_draws_the_same_weights() -> None:
    one = NumpyTD3(**sizes_of((64, 48), seed=3)).state_dict()
    twin = TorchTD3(**sizes_of((64, 48), seed=3), device="cpu")
    other = TorchTD3(**sizes_of((64, 48), seed=4), device="cpu")
    load(other, one)
    for part in ("networks", "targets"):
        for name, value in other.state_dict()[part].items():
            torch.testing.assert_close(value, twin.state_dict()[part][name], rtol=0, atol=1e-7)
    for part in ("actor", "critics"):
        assert one[part].keys() == one[f"target_{part}"].keys()
        assert all(torch.equal(one[part][name], one[f"target_{part}"][name]) for name in one[part])
    bound = 64**-0.5
    weight, bias = (one["critics"][f"qf2.hidden2.{name}"] for name in ("weight", "bias"))
    assert 0.95 * bound < weight.abs().max() <= bound
    assert weight.std() == pytest.approx(bound / 3**0.5, rel=0.03)
    assert 0.8 * bound < bias.abs().max() <= bound
    assert not torch.equal(
        one["critics"]["qf1.hidden1.weight"], one["critics"]["qf2.hidden1.weight"]
    )
