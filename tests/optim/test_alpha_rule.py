"""k·√d, and k from a target saturation."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from alphagrad.optim import k_from_saturation, layer_sizes, matching_layers, sqrt_d_alpha


@given(st.floats(1e-12, 0.999), st.floats(0.5, 5.0))
def test_a_gaussian_input_of_deviation_k_has_the_target_saturation(f: float, tau: float) -> None:
    k = k_from_saturation(f, tau)
    assert 2 * norm.sf(tau / k) == pytest.approx(f, rel=1e-6)


@pytest.mark.parametrize("f", [0.0, 1.0, -0.1, math.nan])
def test_a_target_outside_0_1_is_refused(f: float) -> None:
    with pytest.raises(ValueError, match=rf"Invalid saturation: {f}, must be in \(0, 1\)"):
        k_from_saturation(f)


def test_other_bad_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="Invalid tau: 0"):
        k_from_saturation(0.1, 0)
    with pytest.raises(ValueError, match="Invalid numel: -1"):
        sqrt_d_alpha(-1)
    with pytest.raises(ValueError, match="Invalid k: nan"):
        sqrt_d_alpha(4, math.nan)
    with pytest.raises(ValueError, match="Invalid d: 'fan_out', must be 'numel' or 'fan_in'"):
        layer_sizes([], d="fan_out")  # type: ignore[arg-type]


def test_sizes() -> None:
    conv, bias, scalar, empty = (torch.zeros(s) for s in ((8, 3, 5, 5), (8,), (), (0, 4)))
    params = [conv, bias, scalar, empty]
    assert sqrt_d_alpha(0, 2.0) == 2.0
    assert layer_sizes(params) == [600, 8, 1, 1]
    assert layer_sizes(params, d="fan_in") == [75, 8, 1, 1]
    assert layer_sizes(params[:3], norm="group") == [609] * 3
    assert layer_sizes(params[:3], norm="group", d="fan_in") == [75] * 3
    assert layer_sizes([bias, scalar], norm="group", d="fan_in") == [9, 9]


def test_matching_layers_keeps_the_order_and_may_be_empty() -> None:
    names = ["b.1", "a.1", "B.1"]
    assert matching_layers(names, "?.1") == names
    assert matching_layers(names, "b*") == ["b.1"]
    assert matching_layers(names, "c") == []
