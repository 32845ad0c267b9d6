"""What group["saturation"] measures."""

import math
from typing import Any

import pytest
import torch

from alphagrad.optim import AlphaGrad


def test_zero_entries_do_not_count(path: dict[str, Any]) -> None:
    p = torch.zeros(100, requires_grad=True)
    p.grad = torch.zeros(100)
    p.grad[:4] = torch.tensor([10.0, -10.0, 1.0, -1.0])
    optimizer = AlphaGrad([p], alpha=5.0, **path)
    optimizer.step()
    # ‖g‖ = √202, so the large entries are at ±3.52 and the small ones at ±0.35.
    assert optimizer.saturation() == {"0.0": 0.5}


def test_the_threshold_is_strict_and_read_at_each_step(path: dict[str, Any]) -> None:
    p = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    p.grad = torch.ones_like(p)
    optimizer = AlphaGrad([p], alpha=2.5, eps=0.0, **path)
    optimizer.step()
    assert optimizer.saturation() == {"0.0": 0.0}
    optimizer.param_groups[0]["tau"] = 2.4999
    optimizer.step()
    assert optimizer.saturation() == {"0.0": 1.0}


@pytest.mark.parametrize(
    ("k", "expected"),
    [(1.0, 0.0124), (3.0, 0.4047), (1.5726, 0.1118)],
)
def test_gaussian_gradients_have_the_predicted_saturation(
    k: float, expected: float, path: dict[str, Any]
) -> None:
    torch.manual_seed(0)
    p = torch.zeros(100_000, requires_grad=True)
    p.grad = torch.randn(100_000)
    optimizer = AlphaGrad([p], k=k, **path)
    optimizer.step()
    assert optimizer.saturation()["0.0"] == pytest.approx(expected, abs=0.004)


def test_saturation_is_pooled_over_a_group_with_one_norm(path: dict[str, Any]) -> None:
    a, b = torch.zeros(1, requires_grad=True), torch.zeros(3, requires_grad=True)
    a.grad, b.grad = torch.tensor([10.0]), torch.tensor([1.0, 1.0, 0.0])
    without = torch.zeros(7, requires_grad=True)
    optimizer = AlphaGrad([a, without, b], alpha=5.0, norm="group", **path)
    optimizer.step()
    assert optimizer.saturation() == {"group0": pytest.approx(1 / 3)}
    assert optimizer.param_groups[0]["saturation"].tolist() == pytest.approx([1 / 3] * 3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("norm", ["tensor", "group"])
def test_it_is_not_told_of_a_gradient_below_eps(
    norm: Any, dtype: torch.dtype, path: dict[str, Any]
) -> None:
    """The step is taken, and is as small as ε makes it; it is no skipped one."""
    p = torch.zeros(4, dtype=dtype, requires_grad=True)
    optimizer = AlphaGrad([("w", p)], lr=1.0, alpha=2.0, eps=1.0, norm=norm, **path)
    told: list[float] = []
    for entry in (0.25, 0.5, 0.75):  # norms 0.5, 1 and 1.5
        p.grad = torch.full_like(p, entry)
        before = p.detach().clone()
        optimizer.step()
        told += optimizer.saturation().values()
        expected = -math.tanh(2.0 * entry / (2 * entry + 1.0))
        assert (p - before).tolist() == pytest.approx([expected] * 4, rel=1e-2)
    assert math.isnan(told[0])
    assert told[1:] == [0.0, 0.0]
    assert sum(optimizer.skipped()["group0" if norm == "group" else "w"].values()) == 0


@pytest.mark.parametrize("foreach", [False, True])
def test_without_a_norm_it_is_told_of_any_gradient(*, foreach: bool) -> None:
    p = torch.zeros(4, requires_grad=True)
    optimizer = AlphaGrad([("w", p)], alpha=1.0, eps=1e-3, tau=1e-12, norm="none", foreach=foreach)
    p.grad = torch.full_like(p, 1e-9)
    optimizer.step()
    assert optimizer.saturation() == {"w": 1.0}


def test_it_is_nan_before_the_first_step() -> None:
    assert all(math.isnan(s) for s in AlphaGrad([torch.zeros(2)]).saturation().values())
