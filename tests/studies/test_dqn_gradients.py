"""The gradients written by hand are those of torch's autograd."""

from typing import Any

import numpy as np
import pytest
import torch

from alphagrad.studies.dqn_numpy import NumpyDQN
from alphagrad.studies.dqn_torch import TorchDQN
from alphagrad.studies.flat_parameters import Array
from alphagrad.studies.replay import Batch, ReplayBuffer

SIZES = [
    pytest.param(4, 2, (120, 84), id="cartpole"),
    pytest.param(8, 5, (64, 32, 16), id="three-layers"),
    pytest.param(3, 4, (), id="linear"),
]


def learners(
    observation_size: int, actions: int, hidden: tuple[int, ...]
) -> tuple[NumpyDQN, TorchDQN]:
    """A network in numpy, its target apart from it, and the same in torch."""
    sizes: dict[str, Any] = {
        "observation_size": observation_size,
        "actions": actions,
        "hidden_sizes": hidden,
    }
    one = NumpyDQN(**sizes, generator=torch.Generator().manual_seed(1))
    one.q.values += np.random.default_rng(1).normal(0, 0.1, one.q.values.shape)
    other = TorchDQN(**sizes, generator=torch.Generator().manual_seed(2), device="cpu")
    other.load_state_dict(one.state_dict())
    return one, other


def batch_of(size: int, *, observation_size: int, actions: int) -> Batch:
    rng = np.random.default_rng(0)
    buffer = ReplayBuffer(1000, observation_size=observation_size, action_size=1)
    for _ in range(1000):
        buffer.add(
            rng.normal(size=observation_size),
            rng.integers(actions),
            rng.normal(size=observation_size),
            reward=rng.normal(),
            terminated=rng.random() < 0.2,
        )
    return buffer.sample(size, rng)


def relative(one: Array, other: Array) -> float:
    return float(np.abs(one - other).max() / np.abs(other).max())


@pytest.mark.parametrize("size", [1, 128])
@pytest.mark.parametrize(("observation_size", "actions", "hidden"), SIZES)
def test_they_are(observation_size: int, actions: int, hidden: tuple[int, ...], size: int) -> None:
    one, other = learners(observation_size, actions, hidden)
    batch = batch_of(size, observation_size=observation_size, actions=actions)
    metrics = one.td_step(batch, gamma=0.9)
    assert other.td_step(batch, gamma=0.9) == pytest.approx(metrics, rel=1e-5)
    expected = dict(other.q.named_parameters())
    assert list(expected) == [name for name, _ in one.q.named_parameters()]
    for name, parameter in one.q.named_parameters():
        found, wanted = parameter.grad, expected[name].grad
        assert found is not None
        assert wanted is not None
        assert relative(found.numpy(), wanted.numpy()) <= 1e-5, name


def test_the_error_is_that_of_the_bellman_equation() -> None:
    one, other = learners(4, 2, ())
    one.q.values[:] = 0
    one.q.array("q.output.bias")[:] = [1.0, 2.0]
    one.update_target(1.0)
    other.load_state_dict(one.state_dict())
    batch = batch_of(128, observation_size=4, actions=2)
    value = 1 + batch.action[:, 0]
    error = value - (batch.reward + 0.9 * 2 * (batch.terminated == 0))
    for learner in (one, other):
        metrics = learner.td_step(batch, gamma=0.9)
        assert metrics["losses/td_loss"] == pytest.approx(np.square(error).mean(), rel=1e-5)
        assert metrics["losses/q_values"] == pytest.approx(value.mean(), rel=1e-5)
    bias = [2 * (error * (batch.action[:, 0] == action)).mean() for action in (0, 1)]
    assert one.q.grad("q.output.bias")[0] == pytest.approx(bias, rel=1e-5)


def test_a_second_batch_replaces_the_gradients_of_the_first() -> None:
    one, other = learners(4, 2, (16,))
    for seed in (1, 2):
        batch = batch_of(32, observation_size=4, actions=2)
        batch = Batch(*(np.roll(array, seed, axis=0) for array in batch))
        one.td_step(batch, gamma=0.9)
        other.td_step(batch, gamma=0.9)
    for name, parameter in other.q.named_parameters():
        assert parameter.grad is not None
        assert relative(one.q.grad(name)[0], parameter.grad.numpy()) <= 1e-5, name


@pytest.mark.parametrize("tau", [0.25, 1.0])
def test_the_targets_follow_alike(tau: float) -> None:
    one, other = learners(4, 2, (120, 84))
    one.update_target(tau)
    other.update_target(tau)
    state, expected = one.state_dict(), other.state_dict()
    for name, value in state["target"].items():
        torch.testing.assert_close(value, expected["target"][name], rtol=1e-5, atol=1e-7)
        if tau == 1:
            assert torch.equal(value, state["q"][name])


def test_both_act_greedily_and_see_an_update_in_place() -> None:
    one, other = learners(4, 3, (120, 84))
    observations = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    chosen = []
    for scale in (1.0, -1.0):
        with torch.no_grad():
            for learner in (one, other):
                dict(learner.q.named_parameters())["q.output.weight"].mul_(scale)
            expected = other.q["q"](torch.from_numpy(observations)).argmax(1).tolist()
        assert [one.act(row) for row in observations] == expected
        assert [other.act(row) for row in observations] == expected
        chosen.append(expected)
    assert chosen[0] != chosen[1]


def test_the_same_seed_draws_the_same_weights() -> None:
    sizes: dict[str, Any] = {"observation_size": 4, "actions": 2, "hidden_sizes": (120, 84)}
    one = NumpyDQN(**sizes, generator=torch.Generator().manual_seed(3)).state_dict()
    other = TorchDQN(**sizes, generator=torch.Generator().manual_seed(3), device="cpu").state_dict()
    for part in ("q", "target"):
        for name, value in one[part].items():
            torch.testing.assert_close(value, other[part][name], rtol=0, atol=1e-7)
    bound = 120**-0.5
    weight = one["q"]["q.hidden2.weight"]
    assert 0.95 * bound < weight.abs().max() <= bound
    assert weight.std() == pytest.approx(bound / 3**0.5, rel=0.03)
