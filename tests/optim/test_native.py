"""The native kernel alone: its tanh, its choice, its threads."""

from __future__ import annotations

import logging
import subprocess
import sys

import numpy as np
import pytest
import torch

from alphagrad.optim import AlphaGrad, native

pytestmark = pytest.mark.usefixtures("kernel")


def test_tanh_is_exact_to_half_a_millionth_over_all_magnitudes() -> None:
    from alphagrad.optim import _kernels

    x = np.concatenate([np.logspace(-38, 38, 60_001), np.linspace(0, 12, 60_001)[1:]])
    x = np.concatenate([x, -x]).astype(np.float32)
    found = np.array([_kernels.tanh(float(value)) for value in x])
    expected = np.tanh(x.astype(np.float64))
    assert np.abs(found / expected - 1).max() <= 5e-7
    assert np.abs(found).max() <= 1.0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_it_is_chosen_where_it_fits(dtype: torch.dtype) -> None:
    p = torch.zeros(4, dtype=dtype)
    assert native.addresses([p], [torch.ones_like(p)], [])
    assert native.addresses([p], [None], [])


def test_it_is_not_chosen_elsewhere() -> None:
    p = torch.zeros(4, 3)
    assert not native.addresses([p.t()], [torch.zeros(3, 4)], [])
    assert not native.addresses([p], [torch.zeros(3, 4).t()], [])
    assert not native.addresses([p], [torch.zeros(4, 3, dtype=torch.float64)], [])
    assert not native.addresses([p.half()], [p.half()], [])
    assert not native.addresses([p.to("meta")], [p.to("meta")], [])


def test_asked_for_where_it_cannot_run_it_says_why() -> None:
    p = torch.zeros(4, dtype=torch.float16, requires_grad=True)
    p.grad = torch.ones_like(p)
    with pytest.raises(RuntimeError, match="float32, float64, bfloat16"):
        AlphaGrad([p], fused=True).step()


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_any_number_of_threads_gives_the_same_bits(momentum: float) -> None:
    size = 3_000_001  # many blocks, the last one not full, and more than one table of blocks
    results, before = [], torch.get_num_threads()
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            generator = torch.Generator().manual_seed(1)
            p = torch.randn(size, generator=generator).requires_grad_()
            p.grad = torch.randn(size, generator=generator)
            optimizer = AlphaGrad([p], momentum=momentum, fused=True)
            optimizer.step()
            optimizer.step()
            results.append((p.detach().clone(), optimizer.saturation()))
    finally:
        torch.set_num_threads(before)
    assert results[0][1]["0.0"] > 0
    for p, saturation in results[1:]:
        assert torch.equal(p, results[0][0])
        assert saturation == results[0][1]


def test_a_gradient_of_more_than_one_table_of_blocks() -> None:
    size = 17_000_000
    p = torch.zeros(size, requires_grad=True)
    p.grad = torch.ones(size)
    optimizer = AlphaGrad([p], lr=1.0, alpha=float(np.sqrt(size)), eps=0.0, tau=0.5, fused=True)
    optimizer.step()
    assert (p.detach() + np.tanh(1.0)).abs().max() <= 1e-6
    assert optimizer.saturation() == {"0.0": 1.0}


def test_autograd_sees_that_a_parameter_was_changed() -> None:
    p = torch.ones(3, requires_grad=True)
    p.grad = torch.ones(3)
    loss = (p * p).sum()
    AlphaGrad([p], fused=True).step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()  # type: ignore[no-untyped-call]


def test_without_the_extension_a_line_is_logged_and_steps_go_on() -> None:
    script = """
import logging, sys
logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
sys.modules["alphagrad.optim._kernels"] = None
import torch
from alphagrad.optim import AlphaGrad, native
p = torch.zeros(3, requires_grad=True)
p.grad = torch.ones(3)
AlphaGrad([p], alpha=100.0, lr=1.0).step()
print(native.is_built(), p.tolist())
try:
    AlphaGrad([p], fused=True).step()
except RuntimeError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=100
    )
    assert done.stdout.splitlines()[0] == "False [-1.0, -1.0, -1.0]"
    assert "was not built" in done.stdout
    lines = [line for line in done.stderr.splitlines() if line.startswith("WARNING")]
    assert len(lines) == 1
    assert logging.getLogger(native.__name__).name in lines[0]
