"""torch's GradScaler: scaled gradients step as unscaled ones, and a step with an inf is none."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from alphagrad.optim import AlphaGrad
from alphagrad.scheduler import AlphaScheduler, SaturationScheduler


class Halve(AlphaScheduler):
    """Moves α at each step, whatever was measured."""

    def get_alpha(self) -> list[Tensor]:
        return [alpha / 2 for alpha in super().get_alpha()]


def make(**options: Any) -> tuple[nn.Module, AlphaGrad]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 9), nn.Tanh(), nn.Linear(9, 2))
    return model, AlphaGrad(model.named_parameters(), lr=0.05, eps=1e-3, **options)


def loss_of(model: nn.Module, step: int) -> Tensor:
    x = torch.randn(16, 6, generator=torch.Generator().manual_seed(step))
    loss: Tensor = model(x).square().mean()
    return loss


@pytest.mark.parametrize("clip", [False, True])
@pytest.mark.parametrize("norm", ["tensor", "group"])
def test_a_scaled_run_equals_an_unscaled_one(norm: str, clip: bool, path: dict[str, Any]) -> None:
    options: dict[str, Any] = {"momentum": 0.9, "norm": norm, "unit_rms": True, "mix": 0.7} | path
    model, optimizer = make(**options)
    plain, expected = make(**options)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=3)
    for step in range(8):
        optimizer.zero_grad()
        scaler.scale(loss_of(model, step)).backward()  # type: ignore[no-untyped-call]
        if clip:
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        scaler.step(optimizer)
        scaler.update()
        expected.zero_grad()
        loss_of(plain, step).backward()  # type: ignore[no-untyped-call]
        if clip:
            nn.utils.clip_grad_norm_(plain.parameters(), 0.5)
        expected.step()
    assert scaler.get_scale() == 4096.0
    for p, q in zip(model.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-5, atol=1e-6)
    assert optimizer.saturation() == pytest.approx(expected.saturation())


@pytest.mark.parametrize(
    "scheduler", [partial(SaturationScheduler, start="keep", min_numel=1), Halve]
)
def test_a_step_with_an_inf_changes_nothing(
    scheduler: Callable[[AlphaGrad], AlphaScheduler], path: dict[str, Any]
) -> None:
    model, optimizer = make(momentum=0.9, alpha=40.0, weight_decay=0.1, **path)
    scheduler(optimizer).attach()
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    scaler.scale(loss_of(model, 0)).backward()  # type: ignore[no-untyped-call]
    scaler.step(optimizer)
    scaler.update()
    before = [p.detach().clone() for p in model.parameters()]
    buffers = [optimizer.state[p]["momentum_buffer"].clone() for p in model.parameters()]
    alphas, counts = optimizer.alphas(), optimizer.skipped()
    assert set(alphas.values()) != {40.0}

    (optimizer.param_groups[0]["params"][0].grad).view(-1)[3] = math.inf
    scaler.scale(torch.zeros(()))  # marks a new step, as scaling a loss does
    scaler.step(optimizer)
    scaler.update()
    assert scaler.get_scale() == 512.0
    for p, old, buffer in zip(model.parameters(), before, buffers, strict=True):
        assert torch.equal(p, old)
        assert torch.equal(optimizer.state[p]["momentum_buffer"], buffer)
    assert optimizer.alphas() == alphas
    assert optimizer.skipped() == counts
    assert all(math.isnan(s) for s in optimizer.saturation().values())

    optimizer.zero_grad()
    scaler.scale(loss_of(model, 1)).backward()  # type: ignore[no-untyped-call]
    scaler.step(optimizer)
    assert optimizer.alphas() != alphas
    assert all(s >= 0 for s in optimizer.saturation().values())
