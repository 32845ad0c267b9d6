"""Low precision, the ends of float32, complex tensors, stochastic rounding."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from alphagrad.optim import AlphaGrad
from alphagrad.optim.rounding import stochastic_round


@pytest.mark.parametrize("norm", ["tensor", "group"])
@pytest.mark.parametrize("size", [1e-38, 1e-25, 1e-10, 1.0, 1e10, 1e20, 1e38])
def test_the_norm_has_no_ends(size: float, norm: Any, path: dict[str, Any]) -> None:
    p = torch.zeros(1000, requires_grad=True)
    p.grad = torch.full((1000,), size)
    p.grad[::2] *= -1
    optimizer = AlphaGrad([p], lr=1.0, alpha=math.sqrt(1000), eps=0.0, norm=norm, **path)
    optimizer.step()
    expected = torch.full((1000,), -math.tanh(1.0))
    expected[::2] *= -1
    torch.testing.assert_close(p.detach(), expected, rtol=1e-5, atol=0)
    assert not any(next(iter(optimizer.skipped().values())).values())


def test_entries_of_all_magnitudes_share_a_norm(path: dict[str, Any]) -> None:
    p = torch.zeros(4, requires_grad=True)
    p.grad = torch.tensor([3e20, -4e20, 1e-25, 0.0])
    AlphaGrad([p], lr=1.0, alpha=1.0, **path).step()
    assert p.tolist() == pytest.approx([-math.tanh(0.6), math.tanh(0.8), 0.0, 0.0], rel=1e-6)


@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128])
@pytest.mark.parametrize("path", [{}, {"foreach": False}, {"foreach": True}])
def test_a_complex_tensor_steps_as_its_real_view(dtype: torch.dtype, path: dict[str, Any]) -> None:
    torch.manual_seed(0)
    z = torch.randn(5, 3, dtype=dtype, requires_grad=True)
    real = torch.view_as_real(z.detach().clone()).requires_grad_()
    pair = [AlphaGrad([t], lr=0.1, momentum=0.9, weight_decay=0.1, **path) for t in (z, real)]
    for _ in range(3):
        real.grad = torch.randn_like(real)
        z.grad = torch.view_as_complex(real.grad.clone())
        for optimizer in pair:
            optimizer.step()
    torch.testing.assert_close(torch.view_as_real(z.detach()), real.detach())
    assert pair[0].alphas() == pair[1].alphas() == {"0.0": pytest.approx(1.5 * math.sqrt(30))}
    assert pair[0].saturation() == pytest.approx(pair[1].saturation())
    assert pair[0].state[z]["momentum_buffer"].dtype == dtype


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("value", [1.0 + 2**-12, -3.00021, 1e-3, 5e-5, 3e-7, -1e-7, 0.0])
def test_stochastic_rounding_is_right_in_the_mean(dtype: torch.dtype, value: float) -> None:
    torch.manual_seed(0)
    rounded = stochastic_round(torch.full((200_000,), value), dtype).to(torch.float64)
    found = torch.tensor(sorted(set(rounded.tolist())), dtype=torch.float64)
    assert len(found) <= 2
    assert found.min() <= value <= found.max()
    spacing = (found.max() - found.min()).item()
    assert rounded.mean().item() == pytest.approx(value, abs=max(spacing, 1e-12) * 0.01)


def test_stochastic_rounding_leaves_other_values_alone() -> None:
    special = torch.tensor([math.inf, -math.inf, math.nan, 0.0, 1.0, -2.0])
    for dtype in (torch.bfloat16, torch.float16):
        torch.testing.assert_close(
            stochastic_round(special, dtype), special.to(dtype), equal_nan=True
        )
    assert torch.equal(stochastic_round(torch.ones(3), torch.float32), torch.ones(3))


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_small_steps_reach_bfloat16_parameters_only_with_stochastic_rounding(
    momentum: float, path: dict[str, Any]
) -> None:
    moved = {}
    for stochastic in (False, True):
        torch.manual_seed(1)
        p = torch.ones(4000, dtype=torch.bfloat16, requires_grad=True)
        optimizer = AlphaGrad(
            [p],
            lr=1e-4 * (1 - momentum),
            alpha=1e9,
            momentum=momentum,
            stochastic_rounding=stochastic,
            **path,
        )
        for _ in range(40):
            p.grad = torch.ones_like(p)
            optimizer.step()
        moved[stochastic] = 1 - p.detach().double().mean().item()
    assert moved[False] == 0.0  # a step is 1e-4, half a unit in the last place 2e-3
    steps = 40 if momentum == 0 else sum(1 - 0.9**t for t in range(1, 41))
    assert moved[True] == pytest.approx(1e-4 * steps, rel=0.15)


def test_stochastic_rounding_follows_torchs_seed(path: dict[str, Any]) -> None:
    ends = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        p = torch.ones(500, dtype=torch.bfloat16, requires_grad=True)
        p.grad = torch.ones_like(p)
        AlphaGrad([p], lr=1e-3, stochastic_rounding=True, **path).step()
        ends.append(p.detach())
    assert torch.equal(ends[0], ends[1])
    assert not torch.equal(ends[0], ends[2])
