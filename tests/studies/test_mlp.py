"""The perceptrons in numpy compute what torch computes, in memory that torch shares."""

from typing import Any, Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from alphagrad.optim import AlphaGrad
from alphagrad.studies.flat_parameters import Array, FlatParameters
from alphagrad.studies.mlp import MLP, mlp_shapes

Activation = Literal["tanh", "relu"]
ACTIVATIONS: tuple[Activation, ...] = ("tanh", "relu")
SIZES = st.lists(st.integers(1, 40), min_size=2, max_size=5)


def random_flat(sizes: list[int], *, agents: int = 1, seed: int = 0) -> FlatParameters:
    """Parameters of one network, and of another that stands before it."""
    flat = FlatParameters(mlp_shapes("other", (3, 2)) | mlp_shapes("net", sizes), agents=agents)
    rng = np.random.default_rng(seed)
    for array in map(flat.array, flat.shapes):
        array[:] = rng.normal(size=array.shape) / np.sqrt(array.shape[-1])
    return flat


def normal(*shape: int, seed: int = 1) -> Array:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def torch_network(flat: FlatParameters, agent: int, activation: Activation) -> nn.Sequential:
    """A copy of one agent's network, in double precision."""
    named = {n: p for n, p in flat.named_parameters(agent) if n.startswith("net.")}
    layers: list[nn.Module] = []
    for name, weight in named.items():
        if name.endswith(".weight"):
            linear = nn.Linear(weight.shape[1], weight.shape[0], dtype=torch.float64)
            bias = named[name.removesuffix("weight") + "bias"]
            linear.load_state_dict({"weight": weight.detach(), "bias": bias.detach()})
            layers += [linear, nn.Tanh() if activation == "tanh" else nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def assert_near(one: Any, other: Tensor) -> None:
    """Compares by the norm of the difference, relative to that of `other`."""
    expected = other.detach().numpy()
    assert one.shape == expected.shape
    assert np.linalg.norm(one - expected) <= 1e-5 * np.linalg.norm(expected)


def assert_as_torch(
    flat: FlatParameters, x: Array, *, activation: Activation, agent: int | None = None
) -> None:
    """Compares outputs and all gradients of a network; `x` as `MLP.forward` takes it."""
    agents = range(len(flat.values)) if agent is None else [agent]
    network = MLP(flat, "net", activation=activation, agent=agent)
    outputs = network.forward(x)
    slope = normal(*outputs.shape, seed=2)
    by_input = network.backward(slope.copy(), to_input=True)
    assert by_input is not None
    assert np.array_equal(network(x), outputs)
    for place, index in enumerate(agents):
        rows = torch.from_numpy(x if x.ndim == 2 else x[place]).double().requires_grad_()
        reference = torch_network(flat, index, activation)
        expected = reference(rows)
        expected.backward(torch.from_numpy(slope[place]).double())
        assert_near(outputs[place], expected)
        assert rows.grad is not None
        assert_near(by_input[place], rows.grad)
        grads = [p.grad for n, p in flat.named_parameters(index) if n.startswith("net.")]
        for grad, parameter in zip(grads, reference.parameters(), strict=True):
            assert grad is not None
            assert parameter.grad is not None
            assert_near(grad.numpy(), parameter.grad)


@settings(deadline=None, max_examples=40, derandomize=True)
@given(
    sizes=SIZES,
    agents=st.integers(1, 4),
    batch=st.integers(1, 70),
    activation=st.sampled_from(ACTIVATIONS),
    shared=st.booleans(),
)
def test_values_and_gradients_are_those_of_torch(
    sizes: list[int], agents: int, batch: int, activation: Activation, shared: bool
) -> None:
    x = normal(batch, sizes[0]) if shared else normal(agents, batch, sizes[0])
    assert_as_torch(random_flat(sizes, agents=agents), x, activation=activation)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_one_agent_alone_is_computed(activation: Activation) -> None:
    flat = random_flat([7, 16, 16, 3], agents=3)
    flat.grads[:] = 9
    assert_as_torch(flat, normal(1, 20, 7), activation=activation, agent=1)
    assert (flat.grads[[0, 2]] == 9).all()
    # Nor is the other network's gradient touched.
    assert (flat.grad("other.output.weight") == 9).all()


def test_a_backward_pass_writes_what_it_is_asked_for() -> None:
    flat = random_flat([5, 8, 2])
    network = MLP(flat, "net", activation="relu")
    outputs = network.forward(normal(1, 6, 5))
    flat.grads[:] = 9
    by_input = network.backward(np.ones_like(outputs), to_parameters=False, to_input=True)
    assert by_input is not None
    assert by_input.shape == (1, 6, 5)
    assert (flat.grads == 9).all()
    assert network.backward(np.ones_like(outputs)) is None
    assert flat.grad("net.output.bias").tolist() == [[6.0, 6.0]]


def test_the_input_and_the_slope_stay_as_they_are() -> None:
    network = MLP(random_flat([5, 8, 8, 2], agents=2), "net", activation="tanh")
    x = normal(2, 6, 5)
    slope = network.forward(x)
    before = x.copy(), slope.copy()
    network.backward(slope, to_input=True)
    assert np.array_equal(x, before[0])
    assert np.array_equal(slope, before[1])


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("batch", [1, 2, 64])
def test_an_agents_numbers_do_not_depend_on_its_company(activation: Activation, batch: int) -> None:
    # 11 × 33 + … is odd, so the agents' parameters start at addresses of every alignment.
    sizes, agents = [11, 33, 64, 3], 5
    flat, x = random_flat(sizes, agents=agents), normal(agents, batch, 11)
    network = MLP(flat, "net", activation=activation)
    outputs = network.forward(x)
    slope = normal(*outputs.shape, seed=2)
    by_input = network.backward(slope, to_input=True)
    assert by_input is not None
    for agent in range(agents):
        alone = FlatParameters(flat.shapes)
        alone.values[0] = flat.values[agent]
        single = MLP(alone, "net", activation=activation)
        one = slice(agent, agent + 1)
        assert np.array_equal(single.forward(x[one]), outputs[one])
        by_its_input = single.backward(slope[one], to_input=True)
        assert by_its_input is not None
        assert np.array_equal(by_its_input, by_input[one])
        assert np.array_equal(alone.grads[0], flat.grads[agent])
        picked = MLP(flat, "net", activation=activation, agent=agent)
        assert np.array_equal(picked(x[one]), outputs[one])


def test_torch_and_numpy_share_the_memory() -> None:
    flat = random_flat([4, 6, 2], agents=2)
    named = dict(flat.named_parameters(1, prefix="q."))
    assert list(named) == [f"q.{name}" for name in flat.shapes]
    for name in flat.shapes:
        parameter, array, grad = named[f"q.{name}"], flat.array(name), flat.grad(name)
        assert parameter.requires_grad
        assert parameter.dtype == torch.float32
        array[1], grad[1] = 5, 7
        assert parameter.grad is not None
        assert (parameter == 5).all()
        assert (parameter.grad == 7).all()
        with torch.no_grad():
            parameter.fill_(3)
            parameter.grad.fill_(4)
        assert (array[1] == 3).all()
        assert (grad[1] == 4).all()
    assert (flat.values[1] == 3).all()
    assert (flat.grads[1] == 4).all()
    # The other agent is another memory.
    assert not (flat.values[0] == 3).any()
    assert (flat.grads[0] == 0).all()


@pytest.mark.parametrize("name", ["alphagrad", "adam"])
def test_an_optimizers_step_is_seen(name: str) -> None:
    flat = random_flat([4, 6, 2], agents=2)
    named = list(flat.named_parameters(1))
    optimizer: torch.optim.Optimizer
    if name == "alphagrad":
        optimizer = AlphaGrad(named, lr=0.01, alpha=20.0, momentum=0.0)
    else:
        optimizer = torch.optim.Adam(named, lr=0.01, fused=True)
    network = MLP(flat, "net", activation="tanh")
    x = normal(2, 30, 4)
    before, first = flat.state_dict(1)["net.hidden1.weight"], flat.values[0].copy()
    outputs = network.forward(x)
    network.backward(np.ones_like(outputs))
    optimizer.step()
    moved = flat.array("net.hidden1.weight")[1] - before.numpy()
    assert (np.sign(moved) == -np.sign(flat.grad("net.hidden1.weight")[1])).all()
    assert np.array_equal(flat.values[0], first)
    after = network(x)
    assert after[1].mean() < outputs[1].mean()
    assert np.array_equal(after[0], outputs[0])
    expected = torch_network(flat, 1, "tanh")(torch.from_numpy(x[1]).double())
    assert_near(after[1], expected)


def test_a_state_is_a_copy_and_comes_back() -> None:
    flat, other = (random_flat([4, 6, 2], agents=2, seed=seed) for seed in (1, 2))
    state = flat.state_dict(1)
    before, first = flat.values[1].copy(), other.values[0].copy()
    flat.values[:] = 0
    other.load_state_dict(state, 1)
    assert np.array_equal(other.values[1], before)
    assert np.array_equal(other.values[0], first)
    message = r"shapes \{'net.output.weight': \(2, 4\).* into .*'net.hidden1.weight': \(6, 4\)"
    with pytest.raises(ValueError, match=message):
        flat.load_state_dict(FlatParameters(mlp_shapes("net", (4, 2))).state_dict())
