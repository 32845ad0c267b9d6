"""The Triton path on a GPU: ``python -m pytest tests_gpu``, not part of the ordinary run.

Runs what the interpreter runs, compiled, and what only a GPU can show.
"""

from __future__ import annotations

import math

import pytest
import torch

from alphagrad.optim import AlphaGrad, triton_plan
from alphagrad.optim.multi_tensor import multi_tensor_alphagrad
from alphagrad.optim.single_tensor import single_tensor_alphagrad
from tests.optim.triton_checks import *  # noqa: F403
from tests.optim.triton_checks import DEVICE, Group, assert_same_step, make_group
from tests_gpu.waiting import no_waiting

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="no GPU: the Triton path was not run on one"
)


@pytest.mark.parametrize("options", [{}, {"unit_rms": True, "momentum": 0.9, "mix": 0.5}])
def test_a_step_does_not_wait_for_the_device(options: dict[str, object]) -> None:
    """Neither with known addresses, nor with new ones."""
    group = make_group(options | {"stochastic_rounding": True})
    group.step()  # compiles
    moved = [None if g is None else g.clone() for g in group.grads]
    with no_waiting():
        group.step()
        group.grads = moved
        group.step()


@pytest.mark.parametrize("unit_rms", [False, True])
def test_a_captured_step_sees_what_changed_in_place(unit_rms: bool) -> None:
    """α and the gradients are read when the graph is replayed."""
    alpha = torch.full((11,), 7.0, device=DEVICE)
    group = make_group({"momentum": 0.9, "unit_rms": unit_rms})
    group.options["alpha"] = alpha
    start = group.copy()
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        group.step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        group.step()
    for tensors, first in ((group.params, start.params), (group.buffers, start.buffers)):
        for tensor, value in zip(tensors, first, strict=True):
            tensor.copy_(value)
    group.skipped.zero_()
    for factor in (1.0, 3.0):
        alpha.mul_(factor)
        for g in group.grads:
            if g is not None:
                g.mul_(-factor)
        graph.replay()
        start.step(single_tensor_alphagrad)
        assert_same_step(group, start)


def test_gradients_may_come_from_the_same_graph() -> None:
    """Their addresses are new when the step is captured, and last as long as the graph."""
    torch.manual_seed(0)
    w = torch.randn(300, 50, device=DEVICE, requires_grad=True)
    x = torch.randn(8, 300, device=DEVICE)
    copy = w.detach().clone().requires_grad_()

    def step(p: torch.Tensor) -> None:
        p.grad = None
        (x @ p).square().mean().backward()  # type: ignore[no-untyped-call]
        with torch.no_grad():
            Group([p], [p.grad], [], {"lr": 0.1}).step()

    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            step(w)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    w.grad = None
    with torch.cuda.graph(graph):
        step(w)
    with torch.no_grad():
        w.copy_(copy)
    for _ in range(4):
        graph.replay()
        step(copy)
    torch.testing.assert_close(w, copy, rtol=1e-5, atol=1e-6)


def test_a_replay_draws_anew() -> None:
    """Stochastic rounding takes its seed from torch's generator, on the device."""
    p = torch.ones(5000, dtype=torch.bfloat16, device=DEVICE)
    group = Group([p], [torch.ones_like(p)], [], {"lr": 1e-3, "stochastic_rounding": True})
    group.step()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        group.step()
    ends = []
    for _ in range(2):
        p.fill_(1.0)
        graph.replay()
        ends.append(p.clone())
    assert not torch.equal(*ends)


@pytest.mark.parametrize("pooled", [False, True])
def test_large_tensors(pooled: bool) -> None:
    """Of more blocks than are added at a time, against the other path for GPUs."""
    torch.manual_seed(0)
    shapes = [(5000, 4001), (17,), (3, 70_001)]
    tensors = [[torch.randn(shape, device=DEVICE) for shape in shapes] for _ in range(3)]
    group = Group(
        tensors[0],
        list(tensors[1]),
        tensors[2],
        {"momentum": 0.9, "alpha": 900.0, "pooled": pooled},
    )
    expected = group.copy().step(multi_tensor_alphagrad)
    assert_same_step(group.step(), expected, slack=3.0)  # the worst of 20 million entries
    again = group.copy().step()
    group.step()
    for a, b in zip(group.params, again.params, strict=True):
        assert torch.equal(a, b)


def test_what_one_block_stored_the_last_one_reads() -> None:
    """A thousand steps of many blocks give the same bits as often as they are taken."""
    torch.manual_seed(0)
    shapes = [(3000, 1000), (17,), (900, 1001), (1,)] * 3
    grads = [torch.randn(shape, device=DEVICE) for shape in shapes]
    ends = []
    for _ in range(3):
        params = [torch.zeros(shape, device=DEVICE) for shape in shapes]
        group = Group(params, list(grads), [], {"alpha": 300.0, "unit_rms": True})
        for _ in range(1000):
            group.step()
        ends.append([*params, group.saturation])
    for end in ends[1:]:
        assert all(torch.equal(a, b) for a, b in zip(ends[0], end, strict=True))


def plans() -> int:
    """How often a step was planned for the kernels."""
    info = triton_plan._plan.cache_info()
    return info.hits + info.misses


def test_the_kernels_are_the_default_on_a_gpu() -> None:
    """And what they do not take goes another way."""
    p = torch.zeros(5, device=DEVICE, requires_grad=True)
    wide = torch.zeros(5, dtype=torch.float64, device=DEVICE, requires_grad=True)
    counts = []
    for tensor in (p, wide):
        tensor.grad = torch.ones_like(tensor)
        before = plans()
        AlphaGrad([tensor], lr=1.0, alpha=3.0).step()
        counts.append(plans() - before)
    assert counts == [1, 0]
    assert p.tolist() == pytest.approx(wide.tolist(), rel=1e-6)
    with pytest.raises(RuntimeError, match="float32, bfloat16 or float16"):
        AlphaGrad([wide], fused=True).step()


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="no second GPU: it was not run on one")
def test_tensors_of_another_device_than_the_current_one() -> None:
    """A kernel is launched on the device that the tensors are on."""
    p, g = torch.zeros(9, device="cuda:1"), torch.ones(9, device="cuda:1")
    assert torch.cuda.current_device() == 0
    Group([p], [g], [], {"lr": 1.0, "alpha": 3.0}).step()
    assert p.tolist() == pytest.approx([-math.tanh(1.0)] * 9, rel=1e-6)
    assert torch.cuda.current_device() == 0
