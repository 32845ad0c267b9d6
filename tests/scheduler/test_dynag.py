"""DynAGAlpha: the formula, its bound, what it does without a measurement."""

import math
from statistics import NormalDist
from typing import Any

import pytest
import torch
from torch import Tensor

from alphagrad.optim import AlphaGrad
from alphagrad.scheduler import DynAGAlpha

KAPPA = 1.25 / -NormalDist().inv_cdf(0.05)


def make(sizes: dict[str, int], **options: Any) -> tuple[dict[str, Tensor], AlphaGrad]:
    torch.manual_seed(0)
    params = {name: torch.zeros(size, requires_grad=True) for name, size in sizes.items()}
    return params, AlphaGrad(params.items(), **({"lr": 1e-3} | options))


def wanted(g: Tensor, s: float, share: float) -> float:
    shape = (float(g.norm()) + 1e-8) / (float(g.std(correction=0)) + 1e-8)
    return KAPPA * shape * math.pow(share, 1 / 3) * math.pow(0.1 / (s + 1e-8), 0.3)


def test_alpha_is_that_of_the_formula_with_the_last_measurement_of_s() -> None:
    params, optimizer = make({"w": 600, "b": 20})
    DynAGAlpha(optimizer, every=3).attach()
    expected, measured = optimizer.alphas(), dict.fromkeys(params, math.nan)
    for step in range(7):
        for p in params.values():
            p.grad = torch.randn(p.shape) + 0.5
        optimizer.step()
        if step % 3 == 0:
            measured = optimizer.saturation()
        for name, p in params.items():
            assert p.grad is not None
            aim = wanted(p.grad, measured[name], p.numel() / 620)
            expected[name] += 0.1 * (aim - expected[name])
        assert optimizer.alphas() == pytest.approx(expected, rel=1e-5)


def test_a_group_with_one_norm_is_one_layer() -> None:
    params, optimizer = make({"w": 600, "b": 20}, norm="group")
    other, whole = make({"both": 620})
    for one in (optimizer, whole):
        DynAGAlpha(one, every=1).attach()
    for _ in range(5):
        g = torch.randn(620)
        params["w"].grad, params["b"].grad = g[:600].clone(), g[600:].clone()
        other["both"].grad = g
        optimizer.step()
        whole.step()
    assert optimizer.alphas()["group0"] == pytest.approx(whole.alphas()["both"], rel=1e-5)


def test_complex_entries_count_twice() -> None:
    g = torch.randn(50, dtype=torch.complex64)
    p = torch.zeros(50, dtype=torch.complex64, requires_grad=True)
    q = torch.zeros(100, requires_grad=True)
    p.grad, q.grad = g, torch.view_as_real(g).reshape(-1).clone()
    found = []
    for param in (p, q):
        optimizer = AlphaGrad([param])
        DynAGAlpha(optimizer).attach()
        optimizer.step()
        found.append(optimizer.alphas()["0.0"])
    assert found[0] == pytest.approx(found[1], rel=1e-6)


def test_a_single_entry_has_no_deviation_and_goes_to_the_bound() -> None:
    params, optimizer = make({"w": 1})
    DynAGAlpha(optimizer, k_max=7.0, rate=1.0).attach()
    params["w"].grad = torch.ones(1)
    optimizer.step()
    assert optimizer.alphas() == {"w": 7.0}
    params, optimizer = make({"w": 1})
    DynAGAlpha(optimizer, k_max=math.inf).attach()  # DynAG itself
    for _ in range(50):
        params["w"].grad = torch.full((1,), 1e38)
        optimizer.step()
    assert 1e30 < optimizer.alphas()["w"] < math.inf


def test_a_step_without_a_measurement_holds_alpha() -> None:
    params, optimizer = make({"w": 100, "b": 100})
    DynAGAlpha(optimizer, every=1).attach()
    for grad in (torch.full((100,), math.nan), torch.zeros(100), None):
        params["w"].grad, params["b"].grad = grad, torch.randn(100)
        before = optimizer.alphas()
        optimizer.step()
        assert optimizer.alphas()["w"] == before["w"]
        assert optimizer.alphas()["b"] < before["b"]


def test_tau_is_set_and_comes_back_after_a_load() -> None:
    params, optimizer = make({"w": 100})
    saved = optimizer.state_dict()
    DynAGAlpha(optimizer, tau=1.5).attach()
    assert optimizer.param_groups[0]["tau"] == 1.5
    optimizer.load_state_dict(saved)
    params["w"].grad = torch.randn(100)
    optimizer.step()
    assert optimizer.param_groups[0]["tau"] == 1.5


def test_without_gradients_alpha_is_held() -> None:
    params, optimizer = make({"w": 600}, alpha=20.0)
    scheduler = DynAGAlpha(optimizer)
    for _ in range(20):
        params["w"].grad = torch.randn(600)
        optimizer.step()
        optimizer.zero_grad()
        scheduler.step()
    assert optimizer.alphas() == {"w": 20.0}


def test_the_total_and_the_exponents_are_arguments() -> None:
    alphas = []
    options: list[dict[str, Any]] = [{}, {"total": 800}, {"size_power": 0.0}, {"power": 0.0}]
    for option in options:
        params, optimizer = make({"w": 100}, alpha=1.0)
        DynAGAlpha(optimizer, rate=1.0, **option).attach()
        params["w"].grad = torch.linspace(-1, 1, 100)
        optimizer.step()
        alphas.append(optimizer.alphas()["w"])
    default, eighth, alone, without_s = alphas
    assert eighth == pytest.approx(default / 2, rel=1e-5)
    assert alone == pytest.approx(default, rel=1e-6)  # d is D here
    assert without_s == pytest.approx(KAPPA * 10, rel=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": 1.0}, r"Invalid target: 1.0, must be in \(0, 1\)"),
        ({"rate": 0.0}, r"Invalid rate: 0.0, must be in \(0, 1\]"),
        ({"power": -1.0}, "Invalid power: -1.0"),
        ({"size_power": math.inf}, "Invalid size_power: inf"),
        ({"every": 0}, "Invalid every: 0"),
        ({"total": 0}, "Invalid total: 0"),
        ({"tau": math.nan}, "Invalid tau: nan"),
        ({"k_max": 0.0}, "Invalid k_max: 0.0, must be > 0"),
    ],
)
def test_bad_arguments_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DynAGAlpha(make({"w": 4})[1], **options)
