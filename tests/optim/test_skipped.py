"""Zero, non-finite and missing gradients, and steps that never wait for the device."""

import math
from typing import Any, Literal

import pytest
import torch

from alphagrad.optim import AlphaGrad
from alphagrad.scheduler import SaturationScheduler, SqrtDAlpha

BAD: dict[str, float | None] = {
    "zero": 0.0,
    "nan": math.nan,
    "inf": math.inf,
    "-inf": -math.inf,
    "all_nan": math.nan,
    "missing": None,
}
REASON = {
    "zero": "zero",
    "nan": "non_finite",
    "inf": "non_finite",
    "-inf": "non_finite",
    "all_nan": "non_finite",
    "missing": "missing",
}


def set_bad(p: torch.Tensor, kind: str) -> None:
    value = BAD[kind]
    if value is None:
        p.grad = None
    elif value == 0.0:
        p.grad = torch.zeros_like(p)
    elif kind.startswith("all_"):
        p.grad = torch.full_like(p, value)
    else:
        p.grad = torch.ones_like(p)
        p.grad.view(-1)[0] = value


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("kind", BAD)
def test_a_bad_gradient_leaves_its_tensor_alone(
    kind: str, momentum: float, dtype: torch.dtype, path: dict[str, Any]
) -> None:
    torch.manual_seed(0)
    good = torch.randn(6, dtype=dtype, requires_grad=True)
    bad = torch.randn(3, 2, dtype=dtype, requires_grad=True)
    optimizer = AlphaGrad(
        [("good", good), ("bad", bad)], lr=0.1, momentum=momentum, alpha=[5.0, 6.0], **path
    )
    good.grad, bad.grad = torch.randn_like(good), torch.randn_like(bad)
    optimizer.step()
    assert optimizer.saturation()["bad"] >= 0
    value, start = bad.detach().clone(), good.detach().clone()
    buffer = optimizer.state[bad]["momentum_buffer"].clone() if momentum else None
    for _ in range(2):
        set_bad(bad, kind)
        optimizer.step()
    assert torch.equal(bad, value)
    assert not torch.equal(good, start)
    assert good.isfinite().all()
    if buffer is not None:
        assert torch.equal(optimizer.state[bad]["momentum_buffer"], buffer)
    assert optimizer.alphas() == {"good": 5.0, "bad": 6.0}
    expected = {"zero": 0, "non_finite": 0, "missing": 0}
    assert optimizer.skipped() == {"good": expected, "bad": expected | {REASON[kind]: 2}}
    assert math.isnan(optimizer.saturation()["bad"])
    assert optimizer.saturation()["good"] >= 0
    # It steps again as soon as its gradient is good.
    bad.grad = torch.ones_like(bad)
    optimizer.step()
    assert not torch.equal(bad, value)


@pytest.mark.parametrize("kind", ["nan", "zero", "missing"])
def test_with_one_norm_per_group_the_group_is_the_layer(kind: str, path: dict[str, Any]) -> None:
    weight = torch.ones(3, requires_grad=True)
    bias = torch.ones(2, requires_grad=True)
    optimizer = AlphaGrad([weight, bias], lr=0.1, momentum=0.5, norm="group", **path)
    weight.grad = torch.ones(3)
    set_bad(bias, kind)
    optimizer.step()
    # One non-finite tensor spoils the shared norm; a zero or missing one does not.
    assert torch.equal(weight, torch.ones(3)) == (kind == "nan")
    assert torch.equal(bias, torch.ones(2))
    count = {"zero": 0, "non_finite": int(kind == "nan"), "missing": 0}
    assert optimizer.skipped() == {"group0": count}
    assert optimizer.param_groups[0]["skipped"].unique(dim=1).shape == (3, 1)
    for p in (weight, bias):
        set_bad(p, kind)
    optimizer.step()
    count[REASON[kind]] += 1
    assert optimizer.skipped() == {"group0": count}
    assert math.isnan(optimizer.saturation()["group0"])


def test_a_step_without_any_gradient_counts_every_layer(path: dict[str, Any]) -> None:
    optimizer = AlphaGrad([torch.ones(2), torch.ones(3)], momentum=0.9, **path)
    optimizer.step()
    assert optimizer.param_groups[0]["skipped"].tolist() == [[0, 0], [0, 0], [1, 1]]
    assert not optimizer.state


def test_gradients_near_the_ends_of_float32(path: dict[str, Any]) -> None:
    # Squares underflow: the norm is 0 but the gradient is not, so it is a step and not a skip.
    tiny = torch.zeros(2, requires_grad=True)
    tiny.grad = torch.tensor([1e-30, 0.0])
    huge = torch.zeros(2, requires_grad=True)
    huge.grad = torch.tensor([3e38, 3e38])  # the norm itself is beyond float32
    optimizer = AlphaGrad([("tiny", tiny), ("huge", huge)], alpha=1e37, eps=1e-8, **path)
    optimizer.step()
    assert tiny[0] < 0
    assert tiny[1] == 0
    assert huge.tolist() == pytest.approx([-1e-3, -1e-3])
    assert not any(sum(counts.values()) for counts in optimizer.skipped().values())


@pytest.mark.parametrize("path", [{}, {"foreach": True}])  # the kernel has no float16
def test_a_norm_beyond_float16_is_no_reason_to_skip(path: dict[str, Any]) -> None:
    p = torch.zeros(4, dtype=torch.float16, requires_grad=True)
    p.grad = torch.full((4,), 60_000.0, dtype=torch.float16)
    optimizer = AlphaGrad([p], lr=1.0, alpha=2.0, **path)
    optimizer.step()
    assert p.tolist() == pytest.approx([-math.tanh(1.0)] * 4, rel=1e-3)
    assert not any(optimizer.skipped()["0.0"].values())


def test_sparse_gradients_are_rejected(path: dict[str, Any]) -> None:
    p = torch.zeros(3, requires_grad=True)
    p.grad = torch.ones(3).to_sparse()
    with pytest.raises(RuntimeError, match="sparse_coo"):
        AlphaGrad([p], **path).step()


@pytest.mark.parametrize("norm", ["tensor", "group"])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("path", [{}, {"foreach": True}])
def test_nothing_reads_the_device(
    momentum: float, norm: Literal["tensor", "group"], path: dict[str, Any]
) -> None:
    # Tensors on the meta device have no values: whatever needs one raises.
    shapes = ((4, 3), (4,), (2,))
    params = [torch.zeros(shape, device="meta", requires_grad=True) for shape in shapes]
    optimizer = AlphaGrad(params, alpha=3.0, momentum=momentum, norm=norm, **path)
    SaturationScheduler(optimizer).attach()
    SqrtDAlpha(optimizer, k=2.0).attach()
    for p in params[:-1]:
        p.grad = torch.zeros_like(p)
    for _ in range(2):
        optimizer.step()
        optimizer.set_alpha(5.0, optimizer.layer_names()[0], pin=True)
        optimizer.release()
    alpha, saturation = optimizer.packed()
    assert alpha.shape == saturation.shape == (len(optimizer.layer_names()),)
    with pytest.raises((RuntimeError, NotImplementedError)):
        alpha.tolist()
