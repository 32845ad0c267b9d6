"""The native CPU path: `_kernels.c`, where it was built and the tensors fit."""

from __future__ import annotations

import logging
from array import array
from collections.abc import Sequence
from itertools import repeat

import torch
from torch import Tensor

logger = logging.getLogger(__name__)

try:
    from alphagrad.optim import _kernels
except ImportError as error:
    _kernels = None  # type: ignore[assignment]
    logger.warning("no native kernel, AlphaGrad steps run in torch's own operations: %s", error)

_DTYPES = {torch.float32: 0, torch.float64: 1, torch.bfloat16: 2}


def is_built() -> bool:
    """Say whether the extension was built when alphagrad was installed."""
    return _kernels is not None


def needs() -> str:
    """Say what the kernel needs, for an error's text."""
    if not is_built():
        return "the native kernel was not built; install alphagrad where a C compiler is"
    return "all tensors must be contiguous, on the CPU, and of one type: float32, float64, bfloat16"


def addresses(
    params: Sequence[Tensor], grads: Sequence[Tensor | None], buffers: Sequence[Tensor | None]
) -> array[int] | None:
    """Give what the kernel wants to know of the tensors, or None if it cannot take them.

    Args:
        params: n tensors.
        grads: their gradients, strided, None where missing.
        buffers: v per tensor, or nothing without momentum.

    Returns:
        Four integers per tensor: the addresses of parameter, gradient and buffer, 0 where there is
        none, and the number of elements.
    """
    dtype = params[0].dtype
    if not is_built() or dtype not in _DTYPES or torch.compiler.is_compiling():
        return None
    rows: list[int] = []
    for p, g, b in zip(params, grads, buffers or repeat(None), strict=False):
        for tensor in (p, g, b):
            if tensor is None:
                rows.append(0)
            elif tensor.dtype is dtype and tensor.is_cpu and tensor.is_contiguous():
                rows.append(tensor.data_ptr() or 1)  # an empty tensor has no address, but is there
            else:
                return None
        rows.append(p.numel())
    return array("q", rows)


def step(
    table: array[int],
    params: Sequence[Tensor],
    buffers: Sequence[Tensor | None],
    *,
    alpha: float | Tensor,
    saturation: Tensor,
    skipped: Tensor,
    lr: float,
    momentum: float,
    eps: float,
    tau: float,
    pooled: bool,
) -> None:
    """Take the step of :func:`alphagrad.optim.alphagrad` on the tensors of ``table``.

    Norms are summed in float64, so unlike those of the other paths they neither overflow nor
    underflow. As many threads run as ``torch.get_num_threads()`` says; the result is the same with
    any number.
    """
    _kernels.step(
        table,
        alpha.data_ptr() if isinstance(alpha, Tensor) else 0,
        0.0 if isinstance(alpha, Tensor) else alpha,
        saturation.data_ptr(),
        skipped.data_ptr(),
        lr,
        momentum,
        eps,
        tau,
        pooled,
        _DTYPES[params[0].dtype],
        torch.get_num_threads(),
    )
    # Autograd notices a write to a tensor that it saved only by the tensor's version.
    torch.autograd.graph.increment_version([*params, *(b for b in buffers if b is not None)])
