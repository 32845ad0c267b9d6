"""The native kernel's choice of tensors, its threads, its absence."""

from __future__ import annotations

import logging
import math
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from torch import Tensor

from alphagrad.optim import AlphaGrad, native
from tests.optim.kernel_step import VARIANTS, gradient, step

pytestmark = pytest.mark.usefixtures("kernel")


@contextmanager
def threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_it_is_chosen_where_it_fits(dtype: torch.dtype) -> None:
    p = torch.zeros(4, dtype=dtype)
    assert step([p], [torch.ones_like(p)]).taken
    assert step([torch.nn.Parameter(p)], [torch.ones_like(p)], [p.clone()]).taken
    assert step([p], [None]).taken
    # Strides of dimensions of size 1 mean nothing.
    wide = torch.zeros(4, 2, dtype=dtype)[:, :1].t().contiguous().t()
    assert step([wide], [torch.zeros(4, 1, dtype=dtype)]).taken
    assert step([torch.zeros(3, 0, dtype=dtype)], [torch.zeros(3, 0, dtype=dtype)]).taken
    assert step([], []).taken


class Subclass(Tensor):
    pass


def test_it_is_not_chosen_elsewhere() -> None:
    p, row = torch.zeros(4, 3), torch.ones(1)
    others: list[tuple[Tensor, Tensor]] = [
        (p.t(), torch.ones(3, 4)),
        (p, torch.ones(3, 4).t()),
        (p, torch.ones(4, 1).expand(4, 3)),
        (p, torch.ones(3, 4)),
        (p, torch.ones(4, 3, dtype=torch.float64)),
        (p.half(), torch.ones(4, 3, dtype=torch.float16)),
        (p.int(), torch.ones(4, 3, dtype=torch.int32)),
        (p.to(torch.complex64), torch.ones(4, 3, dtype=torch.complex64)),
        (p.to("meta"), torch.ones(4, 3, device="meta")),
        (p, torch.ones(4, 3).to_sparse()),
        (p, torch.ones(4, 3).as_subclass(Subclass)),
        (p[0, :1], torch.ones(1, dtype=torch.complex64).conj().imag),
    ]
    for param, grad in others:
        assert not step([param], [grad]).taken
        assert not step([torch.zeros(2), param], [torch.ones(2), grad]).taken
    assert not p.any()
    assert not step([p], [torch.ones_like(p)], [None], momentum=0.9).taken
    assert not step([p], [torch.ones_like(p)], [p.double()], momentum=0.9).taken
    assert not step([p, p.double()], [torch.ones_like(p), None]).taken
    for alpha in (row.double(), torch.ones(2), row.to("meta"), torch.tensor(1.0)):
        assert not step([p], [torch.ones_like(p)], alpha=alpha).taken
    assert not step([p], [torch.ones_like(p)], skipped=torch.zeros(1, 3, dtype=torch.int64)).taken
    assert not p.any()


def test_lists_of_unequal_length_are_an_error() -> None:
    p = torch.zeros(4)
    with pytest.raises(ValueError, match="1 params, 2 grads"):
        step([p], [p, p])
    with pytest.raises(ValueError, match="2 buffers"):
        step([p], [p], [p, p])


def test_asked_for_where_it_cannot_run_it_says_why() -> None:
    p = torch.zeros(4, dtype=torch.float16, requires_grad=True)
    p.grad = torch.ones_like(p)
    with pytest.raises(RuntimeError, match="float32, float64, bfloat16"):
        AlphaGrad([p], fused=True).step()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("variant", ["plain", "momentum", "all"])
def test_any_number_of_threads_gives_the_same_bits(variant: str, dtype: torch.dtype) -> None:
    size = 3_000_001  # many chunks, the last one not full
    options = {"alpha": 1.5 * math.sqrt(size), "seed": 5} | VARIANTS[variant]
    g, start = gradient(size, dtype), torch.randn(size).to(dtype)
    results = []
    for number in (1, 2, 3):
        with threads(number):
            p, v = start.clone(), start.clone()
            found = step([p], [g], [v] if "momentum" in options else (), **options)
            results.append((p, v, found.saturation))
    assert results[0][2].item() > 0
    for result in results[1:]:
        for one, other in zip(result, results[0], strict=True):
            assert torch.equal(one, other)


def test_a_gradient_of_more_than_one_table_of_chunks() -> None:
    size = 17_000_000
    p, g = torch.zeros(size), torch.ones(size)
    found = step([p], [g], lr=1.0, alpha=float(np.sqrt(size)), eps=0.0, tau=0.5)
    assert (p + np.tanh(1.0)).abs().max() <= 1e-6
    assert found.saturation.tolist() == [1.0]


@pytest.mark.parametrize("offset", [1, 2, 3])
def test_data_between_addresses_is_not_taken(offset: int) -> None:
    data = np.zeros(8 * 4 + 4, dtype=np.uint8)
    p = torch.from_numpy(data[offset : offset + 32].view(np.float32))
    assert not step([p], [torch.ones(8)]).taken
    assert not step([torch.ones(8)], [p]).taken


def test_a_torch_without_the_interface_is_refused() -> None:
    from alphagrad.optim import _kernels

    class Bare:
        pass

    class Other:
        __dlpack_c_exchange_api__ = 7

    with pytest.raises(AttributeError, match="__dlpack_c_exchange_api__"):
        _kernels.setup(Bare, torch.nn.Parameter)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="PyCapsule"):
        _kernels.setup(Other, torch.nn.Parameter)  # type: ignore[arg-type]
    assert step([torch.ones(8)], [torch.ones(8)]).taken


def test_autograd_sees_that_a_tensor_was_changed() -> None:
    p, v = torch.ones(3, requires_grad=True), torch.zeros(3)
    loss = (p * p).sum()
    versions = p._version, v._version
    assert not step([p], [torch.ones(4)[1:]], [v[:2]], momentum=0.5).taken
    assert (p._version, v._version) == versions
    assert step([p], [torch.ones(3)], [v], momentum=0.5).taken
    assert p._version > versions[0]
    assert v._version > versions[1]
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()  # type: ignore[no-untyped-call]


def test_a_parameter_without_a_gradient_is_as_it_was_for_autograd() -> None:
    a, b = torch.ones(3, requires_grad=True), torch.ones(3, requires_grad=True)
    first, second = (a * 2).sum(), (b * b).sum()
    first.backward()  # type: ignore[no-untyped-call]
    AlphaGrad([a, b]).step()
    second.backward()  # type: ignore[no-untyped-call]
    assert b.grad is not None
    assert b.grad.tolist() == [2.0] * 3


def test_without_the_extension_a_line_is_logged_and_steps_go_on() -> None:
    script = """
import logging, sys
logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
sys.modules["alphagrad.optim._kernels"] = None
import torch
from alphagrad.optim import AlphaGrad, native
from tests.optim.kernel_step import VARIANTS, gradient, step
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
