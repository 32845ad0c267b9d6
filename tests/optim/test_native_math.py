"""The native kernel's arithmetic, against float64."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.optim.kernel_step import DEFAULTS, VARIANTS, gradient, step

pytestmark = pytest.mark.usefixtures("kernel")

# Around what is done side by side: a line of 16 in three or six places, blocks, chunks.
SIZES = [1, 2, 15, 16, 17, 47, 48, 49, 63, 95, 96, 97, 1000, 1536, 9311, 65_535, 65_537, 200_003]


@dataclass
class Formula:
    """The kernel's contract for one layer, in float64."""

    options: dict[str, Any]

    def __call__(self, p: Tensor, g: Tensor, v: Tensor) -> tuple[Tensor, Tensor, float]:
        """Give the new parameter and buffer, and the saturation."""
        o = DEFAULTS | self.options
        scaled = g * o["inv_scale"] * (-1 if o["maximize"] else 1)
        unit = scaled / (scaled.norm() + o["eps"])
        x = o["alpha"] * unit
        shaped = o["mix"] * o["beta"] * x.tanh() + (1 - o["mix"]) * unit
        count = int(g.count_nonzero())
        if o["unit_rms"]:
            shaped = shaped / (shaped.square().sum() / count).sqrt()
        move = o["lr"] * shaped
        if o["momentum"]:
            v = o["momentum"] * v + (1 - o["dampening"]) * move
            move = move + o["momentum"] * v if o["nesterov"] else v
        hits = int((x.abs() > o["tau"]).sum())
        ratio = hits / count if scaled.norm() >= o["eps"] else math.nan
        return p * (1 - o["lr"] * o["weight_decay"]) - move, v, ratio


def test_tanh_is_exact_to_half_a_millionth_over_all_magnitudes() -> None:
    from alphagrad.optim import _kernels

    x = np.concatenate([np.logspace(-38, 38, 60_001), np.linspace(0, 12, 60_001)[1:]])
    x = np.concatenate([x, -x]).astype(np.float32)
    found = np.array([_kernels.tanh(float(value)) for value in x])
    expected = np.tanh(x.astype(np.float64))
    assert np.abs(found / expected - 1).max() <= 5e-7
    assert np.abs(found).max() <= 1.0


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_step_is_the_formulas(variant: str, size: int) -> None:
    options = VARIANTS[variant]
    options = {"alpha": 1.5 * math.sqrt(size)} | options
    for dtype, close in ((torch.float32, 1e-6), (torch.float64, 1e-11), (torch.bfloat16, 2.0**-8)):
        g = gradient(size, dtype)
        g[0] = 1.0
        p, v = torch.randn(size).to(dtype), torch.randn(size).to(dtype)
        expected, velocity, ratio = Formula(options)(p.double(), g.double(), v.double())
        found = step([p], [g], [v] if "momentum" in options else (), **options)
        assert found.taken
        assert found.skipped.sum() == 0
        torch.testing.assert_close(p.double(), expected, rtol=close, atol=close)
        if "momentum" in options:
            torch.testing.assert_close(v.double(), velocity, rtol=close, atol=close)
        # A tie with τ may go either way.
        within = 1e-3 if size > 1000 else 1e-6
        assert found.saturation.item() == pytest.approx(ratio, abs=within, nan_ok=True)


@pytest.mark.parametrize("lr", [1e-12, 1e-3, 7.7, 1e12])
def test_a_step_from_zero_is_exact_to_a_millionth(lr: float) -> None:
    g = gradient(100_003)
    p = torch.zeros_like(g)
    step([p], [g], lr=lr, alpha=500.0)
    expected = -lr * (500.0 * g.double() / g.double().norm()).tanh()
    assert torch.equal(p == 0, g == 0)
    assert ((p.double() / expected - 1).abs().nan_to_num(0.0)).max() <= 1e-6


@pytest.mark.parametrize("pooled", [False, True])
def test_each_tensor_has_its_own_numbers(pooled: bool) -> None:
    alpha, beta, mix = torch.tensor([3.0, 60.0]), torch.tensor([2.0, 1.0]), torch.tensor([0.5, 1.0])
    gs, ps = [gradient(5), gradient(999)], [torch.zeros(5), torch.zeros(999)]
    found = step(ps, gs, alpha=alpha, beta=beta, mix=mix, pooled=pooled, unit_rms=True)
    norms = [g.double().norm() for g in gs]
    if pooled:
        norms = [torch.stack(norms).norm()] * 2
    units = [g / norm for g, norm in zip(gs, norms, strict=True)]
    xs = [a * u for a, u in zip(alpha, units, strict=True)]
    shaped = [
        m * b * x.tanh() + (1 - m) * u for m, b, x, u in zip(mix, beta, xs, units, strict=True)
    ]
    hits, counts = [(x.abs() > 2.5).sum() for x in xs], [g.count_nonzero() for g in gs]
    powers = [s.square().sum() for s in shaped]
    if pooled:
        hits, counts, powers = [sum(hits)] * 2, [sum(counts)] * 2, [sum(powers)] * 2  # type: ignore[list-item]
    for i, p in enumerate(ps):
        rms = (powers[i] / counts[i]).sqrt()
        torch.testing.assert_close(p, (-0.1 * shaped[i] / rms).float(), rtol=2e-6, atol=0)
        assert found.saturation[i] == (hits[i] / counts[i]).float()


@pytest.mark.parametrize("pooled", [False, True])
def test_skipped_layers_stay_as_they_are(pooled: bool) -> None:
    bad = torch.ones(3000)
    bad[1234] = math.inf
    empty = torch.zeros(0)
    for g, reason in (
        (torch.zeros(40), 0),
        (empty, 0),
        (bad, 1),
        (-bad, 1),
        (bad * 0, 1),
        (None, 2),
    ):
        p = torch.full_like(bad if g is None else g, 2.0)
        v = None if g is None else torch.full_like(p, 3.0)
        found = step([p], [g], [v], momentum=0.5, weight_decay=0.5, pooled=pooled)
        assert found.taken
        assert (p == 2).all()
        assert v is None or (v == 3).all()
        assert found.saturation.isnan().all()
        assert found.skipped[:, 0].tolist() == [int(i == reason) for i in range(3)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_a_nan_is_seen_wherever_it_is(dtype: torch.dtype) -> None:
    size = 66_000
    for place in [*range(0, 200, 7), *range(0, size, 997), *range(size - 200, size)]:
        g = torch.ones(size, dtype=dtype)
        g[place] = math.nan
        p = torch.zeros_like(g)
        assert step([p], [g]).skipped[1].item() == 1
        assert not p.any()


@pytest.mark.parametrize("size", [40, 1000, 70_001])
@pytest.mark.parametrize("entry", [1e-38, 1e-25, 1e-19, 1e20, 3e38])
def test_the_norm_neither_overflows_nor_underflows(entry: float, size: int) -> None:
    g = torch.full((size,), entry)
    g[::2] /= 2
    p = torch.zeros(size)
    alpha = 1.5 * math.sqrt(size)
    found = step([p], [g], alpha=alpha, lr=1.0, eps=0.0)
    expected = -(alpha * g.double() / g.double().norm()).tanh()
    torch.testing.assert_close(p.double(), expected, rtol=2e-6, atol=0)
    assert found.skipped.sum() == 0


def test_a_large_entry_among_small_ones_counts_alone() -> None:
    g = torch.full((70_001,), 1e-25)
    g[50_000] = 3e38
    p = torch.zeros_like(g)
    step([p], [g], alpha=1.0, lr=1.0)
    assert p[50_000].item() == pytest.approx(-math.tanh(1.0), rel=1e-6)
