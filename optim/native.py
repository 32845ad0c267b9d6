"""The native CPU path: `_kernels.c`, where it was built and the tensors fit."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import increment_version
from torch.compiler import is_compiling

logger = logging.getLogger(__name__)

try:
    from alphagrad.optim import _kernels

    _kernels.setup(Tensor, torch.nn.Parameter)
except (ImportError, AttributeError, ValueError) as error:  # not built; or torch cannot be read
    _kernels = None  # type: ignore[assignment]
    logger.warning("no native kernel, AlphaGrad steps run in torch's own operations: %s", error)

# low, lower inner edge, middle, higher inner edge, high, gain, max_log_step, k_min, k_max
BandNumbers = tuple[float, float, float, float, float, float, float, float, float]

# Bits of the kernel's flags.
_NESTEROV, _MAXIMIZE, _POOLED, _UNIT_RMS, _STOCHASTIC = 1, 2, 4, 8, 16


def is_built() -> bool:
    """Say whether the extension was built when alphagrad was installed, and knows this torch."""
    return _kernels is not None


def needs() -> str:
    """Say what the kernel needs, for an error's text."""
    if not is_built():
        return "the native kernel was not built; install alphagrad where a C compiler is"
    return (
        'with transform="tanh" and a norm, all tensors must be contiguous, on the CPU, and of one '
        "type: float32, float64, bfloat16"
    )


def step(
    params: Sequence[Tensor],
    grads: Sequence[Tensor | None],
    buffers: Sequence[Tensor | None],
    *,
    alpha: float | Tensor,
    beta: float | Tensor,
    mix: float | Tensor,
    saturation: Tensor,
    skipped: Tensor,
    lr: float,
    momentum: float,
    dampening: float,
    nesterov: bool,
    weight_decay: float,
    maximize: bool,
    eps: float,
    tau: float,
    pooled: bool,
    unit_rms: bool,
    seed: int | None,
    inv_scale: float,
) -> bool:
    """Take the step of :func:`alphagrad.optim.alphagrad` if the kernel takes the tensors.

    Norms neither overflow nor underflow. As many threads run as ``torch.get_num_threads()`` says;
    the result is the same with any number.

    Args:
        params: n tensors.
        grads: their gradients, None where missing.
        buffers: v per tensor, None where the gradient is missing; empty for no momentum.
        alpha: a number, or a float32 vector of shape (n,); ``beta`` and ``mix`` too.
        beta: β.
        mix: λ.
        saturation: float32 (n,), written.
        skipped: int64 (3, n), added to.
        lr: η.
        momentum: γ.
        dampening: part of a new step that v leaves out.
        nesterov: look ahead along v.
        weight_decay: decoupled decay.
        maximize: ascend.
        eps: ε.
        tau: τ.
        pooled: one norm over all tensors.
        unit_rms: divide g' by its RMS over the non-zero entries.
        seed: of the random rounding of bfloat16 parameters; None rounds to nearest.
        inv_scale: what the gradients are multiplied by first.

    Returns:
        Whether it was taken; if not, nothing has changed.

    Raises:
        ValueError: the lists differ in length.
    """
    if not is_built() or is_compiling():
        return False
    flags = (
        _NESTEROV * nesterov
        | _MAXIMIZE * maximize
        | _POOLED * pooled
        | _UNIT_RMS * unit_rms
        | _STOCHASTIC * (seed is not None)
    )
    taken = _kernels.step(
        params,
        grads,
        buffers,
        alpha,
        beta,
        mix,
        saturation,
        skipped,
        lr,
        momentum,
        dampening,
        weight_decay,
        eps,
        tau,
        inv_scale,
        flags,
        seed or 0,
        torch.get_num_threads(),
    )
    if taken:
        # Autograd notices a write to a tensor that it saved only by the tensor's version.
        written = [p for p, grad in zip(params, grads, strict=True) if grad is not None]
        written += [buffer for buffer in buffers if buffer is not None]
        increment_version(written)
    return taken


_DEVICES = {"cpu": 1, "cuda": 2}  # DLPack's numbers


def rows(
    params: Sequence[Tensor],
    grads: Sequence[Tensor | None],
    buffers: Sequence[Tensor | None],
    device: str,
) -> bytes | None:
    """Find where tensors lie, for :func:`alphagrad.optim.triton_plan.find_rows`.

    Args:
        params: n tensors.
        grads: their gradients, None where missing.
        buffers: v per tensor, None where the gradient is missing; empty for no momentum.
        device: the type of the device they must be on.

    Returns:
        Five numbers of int64 per tensor, or None if a GPU's kernels do not take them.
    """
    return _kernels.rows(params, grads, buffers, _DEVICES[device])


def hold_band(
    groups: list[dict[str, Any]],
    own: list[tuple[Tensor, Tensor, Tensor, Tensor | None]],
    tau: float,
    numbers: BandNumbers,
) -> bool:
    """Take a step of :class:`alphagrad.scheduler.BandRule` on packed vectors if the kernel can.

    Args:
        groups: parameter groups, whose ``alpha`` is written.
        own: per group which layers are on their way (bool, written), which are covered, √d, and
            which follow the group (bool) or None.
        tau: what the ``tau`` of each group with a covered layer must be.
        numbers: the band's edges and what the rule is made of.

    Returns:
        Whether it was taken; if not, nothing has changed.
    """
    return is_built() and _kernels.hold_band(groups, own, tau, numbers)
