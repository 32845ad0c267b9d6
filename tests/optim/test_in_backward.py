"""Optimizers that step inside backward, one per tensor, as gradients become ready."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from alphagrad.optim import AlphaGrad
from alphagrad.scheduler import SaturationScheduler
from tests.optim.cases import PATHS

OPTIONS = {"lr": 0.05, "k": 3.0, "weight_decay": 0.1}
EVERY_PATH = pytest.mark.parametrize("way", [*PATHS.values(), {}], ids=[*PATHS, "default"])
MOMENTA = pytest.mark.parametrize("momentum", [0.0, 0.9])


def make_model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 2))


def backward(model: nn.Module, step: int) -> None:
    torch.manual_seed(step)
    model(torch.randn(4, 5)).square().sum().backward()


def ordinary_run(**options: Any) -> tuple[nn.Module, AlphaGrad]:
    model = make_model()
    optimizer = AlphaGrad(model.named_parameters(), **options)
    SaturationScheduler(optimizer, min_numel=1).attach()
    for step in range(8):
        optimizer.zero_grad()
        backward(model, step)
        optimizer.step()
    return model, optimizer


def assert_same(model: nn.Module, optimizers: list[AlphaGrad], **options: Any) -> None:
    """Compare with a run of one optimizer that steps after backward."""
    expected, optimizer = ordinary_run(**options)
    for p, q in zip(model.parameters(), expected.parameters(), strict=True):
        assert torch.equal(p, q)
        assert p.grad is None
    for key in ("alpha", "saturation"):
        found = torch.cat([each.param_groups[0][key] for each in optimizers])
        assert torch.equal(found, optimizer.param_groups[0][key])
    assert all(sum(c.values()) == 0 for each in optimizers for c in each.skipped().values())


@EVERY_PATH
@MOMENTA
def test_hooks_after_accumulation_equal_the_ordinary_loop(
    way: dict[str, Any], momentum: float
) -> None:
    options = OPTIONS | {"momentum": momentum} | way
    model = make_model()
    optimizers = {p: AlphaGrad([p], **options) for p in model.parameters()}
    for optimizer in optimizers.values():
        SaturationScheduler(optimizer, min_numel=1).attach()

    def step(p: Any) -> None:
        optimizers[p].step()
        optimizers[p].zero_grad()

    for p in model.parameters():
        p.register_post_accumulate_grad_hook(step)  # type: ignore[no-untyped-call]
    for number in range(8):
        backward(model, number)
    assert_same(model, list(optimizers.values()), **options)


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@EVERY_PATH
@MOMENTA
def test_torchs_optimizer_in_backward_equals_the_ordinary_loop(
    way: dict[str, Any], momentum: float
) -> None:
    from torch.distributed.optim.apply_optimizer_in_backward import (
        _apply_optimizer_in_backward,
        _get_in_backward_optimizers,
    )

    options = OPTIONS | {"momentum": momentum} | way
    model = make_model()
    _apply_optimizer_in_backward(AlphaGrad, model.parameters(), options)
    optimizers: list[Any] = _get_in_backward_optimizers(model)
    for optimizer in optimizers:
        SaturationScheduler(optimizer, min_numel=1).attach()
    for number in range(8):
        backward(model, number)
    assert_same(model, optimizers, **options)
