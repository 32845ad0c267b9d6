"""SqrtDAlpha: the static rule."""

import math
from typing import Any

import pytest
import torch
from torch import nn

from alphagrad.optim import AlphaGrad
from alphagrad.scheduler import SqrtDAlpha


def make(**options: Any) -> AlphaGrad:
    return AlphaGrad(nn.Conv2d(3, 8, 5).named_parameters(), alpha=1.0, **options)


@pytest.mark.parametrize(
    ("options", "k"),
    [({}, 1.5), ({"k": 0.3}, 0.3), ({"saturation": 0.05}, 2.5 / 1.959963985)],
)
def test_alpha_is_k_root_d_from_construction_on(options: dict[str, Any], k: float) -> None:
    optimizer = make()
    scheduler = SqrtDAlpha(optimizer, **options)
    assert scheduler.k == pytest.approx(k)
    expected = {"weight": k * math.sqrt(600), "bias": k * math.sqrt(8)}
    assert optimizer.alphas() == pytest.approx(expected)
    optimizer.set_alpha(99.0)
    optimizer.step()
    scheduler.step()
    assert optimizer.alphas() == pytest.approx(expected)


def test_fan_in_and_groups() -> None:
    optimizer = make()
    SqrtDAlpha(optimizer, k=2.0, d="fan_in")
    assert optimizer.alphas() == pytest.approx({"weight": 2 * math.sqrt(75), "bias": 2 * 8**0.5})
    optimizer = make(norm="group")
    SqrtDAlpha(optimizer, k=2.0)
    assert optimizer.alphas() == pytest.approx({"group0": 2 * math.sqrt(608)})


def test_the_target_saturation_is_reached_on_gaussian_gradients() -> None:
    torch.manual_seed(0)
    p = torch.zeros(100_000, requires_grad=True)
    optimizer = AlphaGrad([p], tau=3.0)
    SqrtDAlpha(optimizer, saturation=0.2, tau=3.0)
    p.grad = torch.randn_like(p)
    optimizer.step()
    assert optimizer.saturation()["0.0"] == pytest.approx(0.2, abs=0.005)


def test_bad_arguments_are_refused() -> None:
    optimizer = make()
    bad: list[tuple[dict[str, Any], str]] = [
        ({"k": 1.0, "saturation": 0.1}, r"k=1.0 with saturation=0.1, must be one of the two"),
        ({"k": -1.0}, "Invalid k: -1.0"),
        ({"saturation": 1.5}, "Invalid saturation: 1.5"),
        ({"d": "fan_out"}, "Invalid d: 'fan_out'"),
        ({"k": 1.0, "tau": 3.0}, "Invalid tau: 3.0, has no effect without saturation"),
    ]
    for options, message in bad:
        with pytest.raises(ValueError, match=message):
            SqrtDAlpha(optimizer, **options)
    assert set(optimizer.alphas().values()) == {1.0}
