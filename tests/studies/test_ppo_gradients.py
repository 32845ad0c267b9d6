"""The gradients of PPO's loss written by hand are those of torch's autograd."""

from typing import Any

import numpy as np
import pytest
import torch

from alphagrad.studies.flat_parameters import Array
from alphagrad.studies.ppo_numpy import Minibatch, NumpyPPO, gaussian_log_prob
from alphagrad.studies.ppo_params import PPOParams
from alphagrad.studies.ppo_torch import TorchPPO

OBSERVATION, ACTION, STEPS = 7, 3, 256
OPTIONS: list[Any] = [
    pytest.param({}, id="defaults"),
    pytest.param({"clip_vloss": False}, id="free-value"),
    pytest.param({"ent_coef": 0.03}, id="entropy"),
    pytest.param({"vf_coef": 2.0, "clip_coef": 0.05}, id="coefficients"),
    pytest.param({"vf_coef": 0.0, "ent_coef": 0.1}, id="no-value"),
    pytest.param({"hidden_sizes": (33, 17, 9)}, id="three-layers"),
    pytest.param({"hidden_sizes": ()}, id="linear"),
]


def sizes_of(params: PPOParams, *, seeds: list[int]) -> dict[str, Any]:
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    return {"observation_size": OBSERVATION, "action_size": ACTION, "generators": generators}


def learner_of(params: PPOParams, *, seeds: list[int]) -> NumpyPPO:
    """Agents whose parameters are nowhere zero."""
    learner = NumpyPPO(params, **sizes_of(params, seeds=seeds))
    for agent, seed in enumerate(seeds):
        rng = np.random.default_rng(seed)
        state = learner.state_dict(agent)
        for value in state.values():
            value += 0.3 * torch.from_numpy(rng.normal(size=tuple(value.shape)))
        learner.load_state_dict(state, agent)
    return learner


def twin_of(learner: NumpyPPO, params: PPOParams, agent: int = 0) -> TorchPPO:
    """The same agent in torch."""
    twin = TorchPPO(params, **sizes_of(params, seeds=[99]))
    twin.load_state_dict(learner.state_dict(agent), 0)
    return twin


def minibatch(learner: NumpyPPO, *, seed: int = 0) -> Minibatch:
    """Steps of an older policy and critic, so that ratios and values lie on all sides."""
    rng = np.random.default_rng(seed)
    agents = len(learner.log_std)
    observation = rng.normal(size=(agents, STEPS, OBSERVATION)).astype(np.float32)
    deviation: Array = np.exp(learner.log_std)[:, None]
    z = rng.normal(size=(agents, STEPS, ACTION)).astype(np.float32)
    value = learner.values(observation)

    def near(array: Any, spread: float) -> Any:
        return (array + spread * rng.normal(size=array.shape)).astype(np.float32)

    return Minibatch(
        observation=observation,
        action=near(learner.act(observation) + deviation * z, 0.0),
        log_prob=near(gaussian_log_prob(z * z, learner.log_std), 0.2),
        advantage=near(np.zeros((agents, STEPS)), 1.0),
        target=near(value, 0.5),
        value=near(value, 0.3),
    )


def one_of(batch: Minibatch, agent: int) -> Minibatch:
    return Minibatch(*(column[agent : agent + 1] for column in batch))


def assert_same_gradients(learner: NumpyPPO, twin: TorchPPO, agent: int = 0) -> None:
    expected = {name: parameter.grad for name, parameter in twin.named_parameters(0)}
    named = learner.named_parameters(agent)
    assert {name for name, _ in named} == expected.keys()
    for name, parameter in named:
        grad, other = parameter.grad, expected[name]
        assert grad is not None
        assert other is not None
        assert (grad - other).norm() <= 1e-5 * other.norm(), name


def test_the_minibatch_reaches_every_branch() -> None:
    params = PPOParams()
    learner = learner_of(params, seeds=[1])
    batch = one_of(minibatch(learner), 0)
    deviation: Array = np.exp(learner.log_std)[:, None]
    z: Array = (batch.action - learner.act(batch.observation)) / deviation
    ratio = np.exp(gaussian_log_prob(z * z, learner.log_std) - batch.log_prob)
    value = learner.values(batch.observation)
    clipped = value.clip(batch.value - 0.2, batch.value + 0.2)
    for gain in (batch.advantage > 0, batch.advantage < 0):
        for place in (ratio < 0.8, abs(ratio - 1) < 0.2, ratio > 1.2):
            assert (gain & place).sum() >= 10
    for side in (clipped < value, clipped > value):
        worse = abs(clipped - batch.target) > abs(value - batch.target)
        assert (side & worse).sum() >= 10
        assert (side & ~worse).sum() >= 10
    assert (clipped == value).sum() >= 10


@pytest.mark.parametrize("options", OPTIONS)
def test_they_are(options: dict[str, Any]) -> None:
    params = PPOParams(**options)
    learner = learner_of(params, seeds=[1])
    twin = twin_of(learner, params)
    # The second replaces the gradients of the first.
    for seed in (0, 1):
        batch = minibatch(learner, seed=seed)
        learner.loss_backward(batch)
        twin.loss_backward(batch)
        assert_same_gradients(learner, twin)
        metrics = learner.metrics(0)
        assert metrics == pytest.approx(twin.metrics(0), rel=1e-5, abs=1e-6)
        assert learner.approx_kl(0) == metrics["losses/approx_kl"]
        assert 0.2 < metrics["losses/clipfrac"] < 0.9


def test_the_loss_is_what_the_gradient_is_of() -> None:
    params = PPOParams(ent_coef=0.05, hidden_sizes=(8,))
    learner = learner_of(params, seeds=[1])
    batch = minibatch(learner)

    def loss() -> float:
        learner.loss_backward(batch)
        terms = learner.metrics(0)
        value = params.vf_coef * terms["losses/value_loss"]
        return terms["losses/policy_loss"] + value - params.ent_coef * terms["losses/entropy"]

    learner.loss_backward(batch)
    named = learner.named_parameters(0)
    steps = [p.grad.clone() / p.grad.norm() for _, p in named if p.grad is not None]
    slope = sum(float(p.grad.norm()) for _, p in named if p.grad is not None)
    sides = []
    with torch.no_grad():
        for size in (1e-3, -2e-3):
            for (_, parameter), step in zip(named, steps, strict=True):
                parameter.add_(step, alpha=size)
            sides.append(loss())
    assert (sides[0] - sides[1]) / 2e-3 == pytest.approx(slope, rel=0.01)


def test_several_agents_have_the_gradients_of_each() -> None:
    params = PPOParams(ent_coef=0.01)
    learner = learner_of(params, seeds=[1, 2, 3])
    batch = minibatch(learner)
    learner.loss_backward(batch)
    for agent in range(3):
        twin = twin_of(learner, params, agent)
        twin.loss_backward(one_of(batch, agent))
        assert_same_gradients(learner, twin, agent)
        assert learner.metrics(agent) == pytest.approx(twin.metrics(0), rel=1e-5, abs=1e-6)


def test_an_agents_gradient_does_not_depend_on_its_company() -> None:
    params = PPOParams(hidden_sizes=(19, 33))
    learner = learner_of(params, seeds=[1, 2, 3])
    batch = minibatch(learner)
    learner.loss_backward(batch)
    for agent in range(3):
        alone = NumpyPPO(params, **sizes_of(params, seeds=[9]))
        alone.load_state_dict(learner.state_dict(agent), 0)
        alone.loss_backward(one_of(batch, agent))
        assert alone.metrics(0) == learner.metrics(agent)
        for bound in (None, 0.1):
            if bound is not None:
                alone.clip_grad_norm(0, bound)
                learner.clip_grad_norm(agent, bound)
            named = zip(alone.named_parameters(0), learner.named_parameters(agent), strict=True)
            for (_, one), (_, other) in named:
                assert one.grad is not None
                assert other.grad is not None
                assert torch.equal(one.grad, other.grad)


@pytest.mark.parametrize("bound", [0.01, 1e6])
def test_the_norm_is_clipped_as_torch_does(bound: float) -> None:
    params = PPOParams()
    learner = learner_of(params, seeds=[1, 2])
    twin = twin_of(learner, params, 1)
    batch = minibatch(learner)
    learner.loss_backward(batch)
    twin.loss_backward(one_of(batch, 1))
    before = [p.grad.clone() for _, p in learner.named_parameters(0) if p.grad is not None]
    learner.clip_grad_norm(1, bound)
    twin.clip_grad_norm(0, bound)
    assert_same_gradients(learner, twin, 1)
    for (_, parameter), grad in zip(learner.named_parameters(0), before, strict=True):
        assert parameter.grad is not None
        assert torch.equal(parameter.grad, grad)


def test_both_act_and_judge_alike() -> None:
    params = PPOParams()
    learner = learner_of(params, seeds=[1, 2])
    twin = twin_of(learner, params, 1)
    observation = minibatch(learner).observation
    one = observation[1:]
    assert learner.act(one, agent=1) == pytest.approx(twin.act(one), rel=1e-4, abs=1e-6)
    assert learner.values(one, agent=1) == pytest.approx(twin.values(one), rel=1e-4, abs=1e-6)
    assert np.array_equal(learner.act(observation)[1:], learner.act(one, agent=1))
    assert np.array_equal(learner.values(observation)[1:], learner.values(one, agent=1))
    assert np.array_equal(learner.log_std[1:], twin.log_std)


def test_the_same_seed_draws_the_same_orthogonal_weights() -> None:
    params = PPOParams()
    learner = NumpyPPO(params, **sizes_of(params, seeds=[4, 5]))
    twin = TorchPPO(params, **sizes_of(params, seeds=[5]))
    state, other = learner.state_dict(1), twin.state_dict(0)
    assert state.keys() == other.keys()
    gains = {"actor.output.weight": 0.01, "critic.output.weight": 1.0}
    for name, value in state.items():
        torch.testing.assert_close(value, other[name], rtol=0, atol=1e-6)
        if name.endswith(".weight"):
            gain = gains.get(name, 2**0.5)
            short = value if len(value) <= value.shape[1] else value.T
            expected = gain**2 * torch.eye(len(short))
            torch.testing.assert_close(short @ short.T, expected, rtol=0, atol=1e-5)
            assert not torch.equal(value, learner.state_dict(0)[name])
        else:
            assert not value.any()


def test_torch_trains_one_agent() -> None:
    with pytest.raises(ValueError, match="one agent at a time, not 2"):
        TorchPPO(PPOParams(), **sizes_of(PPOParams(), seeds=[1, 2]))
