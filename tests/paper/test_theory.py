"""Both theorems on the real optimizer: no trajectory may be above its bound."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from alphagrad.paper.theory import FUNCTIONS, Smooth, descend


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda one: one.name)
@pytest.mark.parametrize("alpha", [0.1, 1.0, 10.0, 300.0])
@pytest.mark.parametrize("n", [1, 7, 100])
@pytest.mark.parametrize("lr", [None, 1e-3, 0.3])
def test_the_bounds_hold(function: Smooth, alpha: float, n: int, lr: float | None) -> None:
    for seed in range(3):
        rate = descend(function, alpha=alpha, n=n, steps=200, lr=lr, seed=seed)
        assert np.isfinite(rate.measured).all()
        assert (rate.measured <= rate.bound * (1 + 1e-12)).all()


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda one: one.name)
def test_a_bound_is_no_empty_one(function: Smooth) -> None:
    """With L and the first value a hundred times too small it is broken."""
    rate = descend(function, alpha=20.0, n=100, steps=500, lr=0.05)
    assert (rate.measured > rate.bound / 100).any()


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda one: one.name)
def test_the_smoothness_is_that_of_the_function(function: Smooth) -> None:
    hessian_of: Any = torch.autograd.functional.hessian
    generator = torch.Generator().manual_seed(1)
    largest = 0.0
    for _ in range(20):
        x = torch.randn(5, generator=generator, dtype=torch.float64)
        hessian = hessian_of(function.value, x)
        largest = max(largest, float(torch.linalg.eigvalsh(hessian).abs().max()))
    at_zero = hessian_of(function.value, torch.full((5,), 1e-9).double())
    steepest = float(torch.linalg.eigvalsh(at_zero).abs().max())
    assert max(largest, steepest) <= function.smoothness * (1 + 1e-9)
    assert steepest == pytest.approx(function.smoothness, rel=1e-6)


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda one: one.name)
def test_the_least_value_is_zero_at_the_origin(function: Smooth) -> None:
    assert function.value(torch.zeros(4, dtype=torch.float64)).item() == pytest.approx(0, abs=1e-15)
