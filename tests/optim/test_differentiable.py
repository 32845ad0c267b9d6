"""differentiable=True: gradients flow through a step."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from alphagrad.optim import AlphaGrad

OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "momentum": {"momentum": 0.9, "dampening": 0.3},
    "nesterov": {"momentum": 0.9, "nesterov": True},
    "weight decay, maximize": {"weight_decay": 0.1, "maximize": True},
    "mix, beta": {"mix": 0.4, "beta": 1.3},
    "sin": {"transform": "sin", "beta": 2.0},
    "unit rms": {"unit_rms": True},
}


@pytest.mark.parametrize("norm", ["tensor", "group"])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_gradcheck_of_two_steps(options: dict[str, Any], norm: Any) -> None:
    def stepped(p: Tensor, g: Tensor, h: Tensor, buffer: Tensor) -> tuple[Tensor, ...]:
        p = p.clone()
        optimizer = AlphaGrad(
            [p], lr=0.1, alpha=2.0, eps=1e-3, norm=norm, differentiable=True, **options
        )
        if "momentum" in options:
            optimizer.state[p]["momentum_buffer"] = buffer.clone()
        for gradient in (g, h):
            p.grad = gradient
            optimizer.step()
        state = optimizer.state[p].get("momentum_buffer")
        return (p,) if state is None else (p, state)

    torch.manual_seed(0)
    inputs = tuple(torch.randn(3, 2, dtype=torch.float64, requires_grad=True) for _ in range(4))
    assert torch.autograd.gradcheck(stepped, inputs)


def test_the_learning_rate_can_be_learned() -> None:
    lr = torch.tensor(0.1, dtype=torch.float64, requires_grad=True)
    p = torch.ones(4, dtype=torch.float64).clone()
    optimizer = AlphaGrad([p], lr=lr, alpha=3.0, differentiable=True)
    p.grad = torch.ones(4, dtype=torch.float64)
    optimizer.step()
    p.sum().backward()  # type: ignore[no-untyped-call]
    assert lr.grad is not None
    assert lr.grad.item() == pytest.approx(-4 * torch.tanh(torch.tensor(1.5)).item(), rel=1e-6)


def test_one_group_may_be_differentiable() -> None:
    one, other = torch.ones(4).clone(), torch.ones(4, requires_grad=True)
    groups: list[dict[str, Any]] = [{"params": [one], "differentiable": True}, {"params": [other]}]
    optimizer = AlphaGrad(groups, alpha=3.0)
    gradient = torch.ones(4, requires_grad=True)
    one.grad, other.grad = gradient * 2, torch.ones(4)
    optimizer.step()
    one.sum().backward()  # type: ignore[no-untyped-call]
    assert gradient.grad is not None
    assert other.is_leaf


def test_without_it_a_step_is_invisible_to_autograd() -> None:
    p = torch.ones(4, requires_grad=True)
    optimizer = AlphaGrad([p], foreach=False)
    p.grad = torch.ones(4, requires_grad=True)
    optimizer.step()
    assert p.is_leaf


@pytest.mark.parametrize("unit_rms", [False, True])
@pytest.mark.parametrize("eps", [1e-8, 0.0])
def test_a_layer_that_is_skipped_adds_nothing_to_the_gradient(unit_rms: bool, eps: float) -> None:
    inner = torch.zeros(3, requires_grad=True)
    p, q = torch.ones(3).clone(), torch.ones(3).clone()
    optimizer = AlphaGrad([p, q], alpha=3.0, eps=eps, unit_rms=unit_rms, differentiable=True)
    p.grad, q.grad = inner * inner, 1 + inner
    optimizer.step()
    (p.sum() + (q * torch.arange(3)).sum()).backward()  # type: ignore[no-untyped-call]
    assert inner.grad is not None
    assert inner.grad.isfinite().all()
    assert inner.grad.any()
