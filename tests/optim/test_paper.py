"""The paper's worked examples and its two lemmas."""

import math
from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from alphagrad.optim import AlphaGrad

EPS = 1e-8
entries = st.floats(-1e6, 1e6, allow_nan=False).map(lambda x: x if abs(x) > 1e-6 else 0.0)
gradients = st.lists(entries, min_size=1, max_size=40)
steepness = st.floats(1e-3, 1e4)


def shaped(gradient: list[float], alpha: float, **path: Any) -> torch.Tensor:
    """g' as the optimizer applies it: the negative of a step of length 1 from zero."""
    p = torch.zeros(len(gradient), dtype=torch.float64, requires_grad=True)
    p.grad = torch.tensor(gradient, dtype=torch.float64)
    AlphaGrad([p], lr=1.0, alpha=alpha, eps=EPS, **path).step()
    return -p.detach()


@pytest.mark.parametrize(
    ("alpha", "gradient"),
    [(2.0, [0.5, 0.5, -0.5, -0.5]), (150.0, [0.9, 0.05, 0.03, 0.02])],
)
def test_worked_examples(alpha: float, gradient: list[float], path: dict[str, Any]) -> None:
    # Section 5.2 shapes these vectors as they are; dividing by the norm is undone in α.
    norm = math.sqrt(sum(g * g for g in gradient))
    found = shaped(gradient, alpha * (norm + EPS), **path).tolist()
    assert found == pytest.approx([math.tanh(alpha * g) for g in gradient], rel=1e-12)


def test_worked_examples_have_the_printed_digits() -> None:
    assert math.tanh(2 * 0.5) == pytest.approx(0.7616, abs=5e-5)
    norm = math.sqrt(0.9**2 + 0.05**2 + 0.03**2 + 0.02**2)
    found = shaped([0.9, 0.05, 0.03, 0.02], 150.0 * norm).tolist()
    assert found == pytest.approx([1.0, 0.9999994, 0.9997532, 0.99505], abs=5e-6)


@settings(deadline=None, max_examples=150)
@given(gradients, steepness)
def test_lemma_1_bounds_the_shaped_gradient(gradient: list[float], alpha: float) -> None:
    found = shaped(gradient, alpha)
    assert found.abs().max() <= 1.0
    assert found.square().sum() <= len(gradient)


@settings(deadline=None, max_examples=150)
@given(gradients, steepness)
def test_lemma_2_bounds_the_descent(gradient: list[float], alpha: float) -> None:
    g = torch.tensor(gradient, dtype=torch.float64)
    norm = g.norm()
    assume(norm > 0)
    descent = torch.dot(g, shaped(gradient, alpha))
    bound = math.tanh(alpha) * norm**2 / (norm + EPS)
    assert descent >= bound * (1 - 1e-9)


@settings(deadline=None, max_examples=50)
@given(gradients, st.floats(1e-3, 1e3))
def test_the_update_does_not_depend_on_the_gradients_scale(
    gradient: list[float], scale: float
) -> None:
    assume(max(map(abs, gradient)) > 1)
    torch.testing.assert_close(
        shaped([g * scale for g in gradient], 20.0),
        shaped(gradient, 20.0),
        rtol=1e-4,
        atol=1e-9,
    )


def test_limits_of_alpha() -> None:
    gradient = [3.0, -4.0, 0.0]
    assert shaped(gradient, 1e-4).tolist() == pytest.approx([0.6e-4, -0.8e-4, 0.0], rel=1e-6)
    assert shaped(gradient, 1e6).tolist() == [1.0, -1.0, 0.0]
