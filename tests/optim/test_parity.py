"""AlphaGrad against a float64 reference written from the paper's equations alone."""

import itertools
import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pytest
import torch

from alphagrad.optim import AlphaGrad

SHAPES: list[tuple[int, ...]] = [(), (5,), (4, 3), (2, 3, 3, 3), (0,)]
TOLERANCE = {
    torch.float64: 1e-12,
    torch.float32: 2e-6,
    # Half a unit in the last place, for the one rounding when the result is stored.
    torch.float16: 2.0**-11 * 1.01,
    torch.bfloat16: 2.0**-8 * 1.01,
}


@dataclass(frozen=True)
class Case:
    dtype: torch.dtype
    momentum: float
    norm: Literal["tensor", "group"]
    path: Literal["loop", "foreach", "fused"]
    alpha: Literal["float", "vector", "rule"]


PATHS: list[Literal["loop", "foreach", "fused"]] = ["loop", "foreach", "fused"]
OPTIONS: dict[str, dict[str, Any]] = {
    "loop": {"foreach": False},
    "foreach": {"foreach": True},
    "fused": {"fused": True},
}
NORMS: list[Literal["tensor", "group"]] = ["tensor", "group"]
ALPHAS: list[Literal["float", "vector", "rule"]] = ["float", "vector", "rule"]
CASES = [
    Case(*options)
    for options in itertools.product(TOLERANCE, (0.0, 0.9), NORMS, PATHS, ALPHAS)
    if options[0] != torch.float16 or options[3] != "fused"  # the kernel has no float16
]


def alphas_of(case: Case) -> tuple[Any, list[float]]:
    """The argument, and α per tensor as the reference uses it."""
    sizes = [math.prod(shape) for shape in SHAPES]
    if case.alpha == "float":
        return 7.3, [7.3] * len(sizes)
    if case.alpha == "vector":
        given = [0.5, 3.0, 50.0, 120.25, 7.0] if case.norm == "tensor" else [12.5] * len(sizes)
        return given, given
    if case.norm == "group":
        sizes = [sum(sizes)] * len(sizes)
    return None, [float(np.float32(1.5 * math.sqrt(max(size, 1)))) for size in sizes]


def as_numpy(tensor: torch.Tensor) -> np.ndarray[Any, np.dtype[np.float64]]:
    return tensor.detach().to(torch.float64).numpy().copy()


def assert_near(actual: torch.Tensor, expected: Any, tolerance: float) -> None:
    error = np.abs(as_numpy(actual) - expected)
    assert (error <= tolerance * (np.abs(expected) + 0.02)).all(), error.max(initial=0.0)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_steps_agree_with_the_reference(case: Case, request: pytest.FixtureRequest) -> None:
    if case.path == "fused":
        request.getfixturevalue("kernel")
    torch.manual_seed(3)
    lr, eps, tau, tolerance = 0.05, 1e-5, 2.5, TOLERANCE[case.dtype]
    given, alphas = alphas_of(case)
    params = [torch.randn(shape).to(case.dtype).requires_grad_() for shape in SHAPES]
    optimizer = AlphaGrad(
        params,
        lr=lr,
        alpha=given,
        momentum=case.momentum,
        eps=eps,
        tau=tau,
        norm=case.norm,
        **OPTIONS[case.path],
    )
    velocity = [np.zeros(shape) for shape in SHAPES]
    for step in range(4):
        before = [as_numpy(p) for p in params]
        for p in params:
            fresh = torch.randn(p.shape) * 10.0 ** (step - 1)
            if p.dim() == 2:
                fresh[0] = 0.0  # exact zeros, which saturation must not count
            p.grad = fresh.to(case.dtype)
        grads = [as_numpy(p.grad) for p in params if p.grad is not None]
        optimizer.step()

        squares = [float((g**2).sum()) for g in grads]
        norms = [math.sqrt(sum(squares) if case.norm == "group" else sq) for sq in squares]
        shaped, over, nonzero = [], [], []
        for g, norm, alpha in zip(grads, norms, alphas, strict=True):
            x = alpha * g / (norm + eps)
            shaped.append(np.tanh(x))
            over.append(int((np.abs(x) > tau).sum()))
            nonzero.append(int((g != 0).sum()))
        for i, p in enumerate(params):
            if case.momentum:
                velocity[i] = case.momentum * velocity[i] + lr * shaped[i]
                expected = before[i] - velocity[i]
                # An empty tensor alone is a zero gradient: no step, so no buffer is read.
                buffer = optimizer.state[p]["momentum_buffer"]
                assert buffer.dtype == case.dtype
                assert_near(buffer, velocity[i], tolerance)
                velocity[i] = as_numpy(buffer)
            else:
                assert not optimizer.state[p]
                expected = before[i] - lr * shaped[i]
            assert_near(p, expected, tolerance)
        if case.norm == "group":
            assert optimizer.saturation() == {
                "group0": pytest.approx(sum(over) / sum(nonzero), rel=1e-6)
            }
        else:
            ratios = [o / n if n else math.nan for o, n in zip(over, nonzero, strict=True)]
            found = list(optimizer.saturation().values())
            assert found == pytest.approx(ratios, rel=1e-6, nan_ok=True)


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("norm", ["tensor", "group"])
def test_all_paths_agree_with_skips(momentum: float, norm: Literal["tensor", "group"]) -> None:
    results = []
    for path in PATHS:
        torch.manual_seed(5)
        params = [torch.randn(shape, requires_grad=True) for shape in SHAPES]
        optimizer = AlphaGrad(params, lr=0.1, momentum=momentum, norm=norm, **OPTIONS[path])
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
    for layout in (torch.contiguous_format, torch.channels_last):
        for foreach in (False, True):
            p = values.clone(memory_format=layout).requires_grad_()
            p.grad = gradient.clone(memory_format=layout)
            AlphaGrad([p], lr=0.1, momentum=0.5, foreach=foreach).step()
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
