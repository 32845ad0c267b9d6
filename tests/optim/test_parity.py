"""Every row of the table against the float64 reference, and the paths against each other."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
import pytest
import torch

from alphagrad.optim import AlphaGrad
from tests.optim.cases import CASES, PATHS, SHAPES, Case
from tests.optim.reference import Array, Reference

TOLERANCE = {
    torch.float64: 1e-12,
    torch.float32: 2e-6,
    # Half a unit in the last place, for the one rounding when the result is stored.
    torch.float16: 2.0**-11 * 1.01,
    torch.bfloat16: 2.0**-8 * 1.01,
}


def as_numpy(tensor: torch.Tensor) -> Array:
    return tensor.detach().to(torch.float64).numpy().copy()


def assert_near(actual: torch.Tensor, expected: Any, tolerance: float) -> None:
    error = np.abs(as_numpy(actual) - expected)
    assert (error <= tolerance * (np.abs(expected) + 0.02)).all(), error.max(initial=0.0)


def set_gradients(params: list[torch.Tensor], size: float) -> list[Array]:
    """Give random gradients, with exact zeros that saturation must not count."""
    for p in params:
        fresh = torch.randn(p.shape) * size
        if p.dim() == 2:
            fresh[0] = 0.0
        p.grad = fresh.to(p.dtype)
    return [as_numpy(p.grad) for p in params if p.grad is not None]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_steps_agree_with_the_reference(case: Case, request: pytest.FixtureRequest) -> None:
    if case.path == "fused":
        request.getfixturevalue("kernel")
    torch.manual_seed(3)
    tolerance = TOLERANCE[case.dtype]
    params = [torch.randn(shape).to(case.dtype).requires_grad_() for shape in SHAPES]
    optimizer = AlphaGrad(params, **case.options)
    reference = Reference([as_numpy(p) for p in params], case.options)
    for step in range(4):
        # Each step starts from what is stored, so that the one rounding is all that differs.
        reference.params = [as_numpy(p) for p in params]
        if case.options.get("momentum") and step:
            buffers = [optimizer.state[p]["momentum_buffer"] for p in params]
            reference.velocity = [as_numpy(b) for b in buffers]
        reference.step(set_gradients(params, 10.0 ** (step - 1)))
        optimizer.step()

        for p, expected, velocity in zip(params, reference.params, reference.velocity, strict=True):
            assert_near(p, expected, tolerance)
            if case.options.get("momentum"):
                assert optimizer.state[p]["momentum_buffer"].dtype == case.dtype
                assert_near(optimizer.state[p]["momentum_buffer"], velocity, tolerance)
            else:
                assert not optimizer.state[p]
        found = optimizer.param_groups[0]["saturation"].tolist()
        assert found == pytest.approx(reference.saturation, rel=1e-6, nan_ok=True)


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("norm", ["tensor", "group"])
def test_all_paths_agree_with_skips(momentum: float, norm: Literal["tensor", "group"]) -> None:
    results = []
    for path in PATHS.values():
        torch.manual_seed(5)
        params = [torch.randn(shape, requires_grad=True) for shape in SHAPES]
        optimizer = AlphaGrad(
            params, lr=0.1, momentum=momentum, norm=norm, weight_decay=0.1, mix=0.8, **path
        )
        for step in range(6):
            for i, p in enumerate(params):
                kind = (step + i) % 5
                g = torch.randn_like(p)
                g = torch.zeros_like(p) if kind == 1 else g
                if kind == 2 and step == 2:
                    g.view(-1)[0] = math.inf
                p.grad = None if kind == 4 else g
            optimizer.step()
        results.append((params, optimizer))
    loop, a = results[0]
    assert sum(sum(counts.values()) for counts in a.skipped().values()) > 0
    for other, b in results[1:]:
        for p, q in zip(loop, other, strict=True):
            torch.testing.assert_close(p, q, rtol=1e-6, atol=1e-6)
        assert a.skipped() == b.skipped()
        assert a.saturation() == pytest.approx(b.saturation(), nan_ok=True)


@pytest.mark.parametrize("path", [{}, {"foreach": True}])  # the kernel takes one type at a time
def test_a_group_may_mix_dtypes(path: dict[str, Any]) -> None:
    torch.manual_seed(0)
    dtypes = (torch.float64, torch.float32, torch.bfloat16)
    params = [torch.zeros(50, dtype=dtype, requires_grad=True) for dtype in dtypes]
    optimizer = AlphaGrad(params, lr=1.0, alpha=20.0, momentum=0.9, **path)
    for p in params:
        p.grad = torch.randn_like(p)
    optimizer.step()
    for p in params:
        assert p.grad is not None
        gradient = as_numpy(p.grad)
        expected = -np.tanh(20.0 * gradient / (np.linalg.norm(gradient) + 1e-8))
        assert_near(p, expected, TOLERANCE[p.dtype])


def test_non_contiguous_tensors_step_like_contiguous_ones() -> None:
    torch.manual_seed(0)
    values, gradient = torch.randn(2, 3, 4, 4), torch.randn(2, 3, 4, 4)
    ends = []
    paths: list[dict[str, Any]] = [{"foreach": False}, {"foreach": True}, {}]
    for layout in (torch.contiguous_format, torch.channels_last):
        for path in paths:
            p = values.clone(memory_format=layout).requires_grad_()
            p.grad = gradient.clone(memory_format=layout)
            AlphaGrad([p], lr=0.1, momentum=0.5, **path).step()
            ends.append(p)
    assert not torch.equal(ends[0], values)
    for end in ends[1:]:
        torch.testing.assert_close(end, ends[0])


def test_a_learning_rate_changed_under_momentum_acts_on_new_gradients_only() -> None:
    p = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    optimizer = AlphaGrad([p], lr=0.1, alpha=2.0, momentum=0.5)
    p.grad = torch.ones_like(p)
    optimizer.step()
    optimizer.param_groups[0]["lr"] = 0.2
    optimizer.step()
    shaped = math.tanh(2.0 / (1.0 + 1e-8))
    v1 = 0.1 * shaped
    v2 = 0.5 * v1 + 0.2 * shaped
    assert p.item() == pytest.approx(-(v1 + v2), rel=1e-12)
