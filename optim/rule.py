"""What one step of one parameter group is told: the options, and the working type."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(slots=True)
class Rule:
    """The numbers of a step, for the paths that run in torch's operations.

    Attributes:
        alpha: α, a number or a float32 vector with one entry per tensor; ``beta`` and ``mix`` too.
        beta: β.
        mix: λ.
        lr: η, a number or a tensor of one element.
        momentum: γ.
        dampening: the share of a new step that v leaves out.
        nesterov: whether the step looks ahead along v.
        weight_decay: decoupled decay, times η.
        maximize: whether to ascend.
        eps: ε.
        tau: τ.
        normalise: whether the gradient is divided by its norm.
        pooled: whether the tensors share one norm.
        transform: ``"tanh"`` or ``"sin"``.
        unit_rms: whether the shaped gradient is divided by its RMS.
        stochastic_rounding: how parameters of 16 bits are rounded.
        grad_scale: by what the gradients were multiplied, from a GradScaler.
        found_inf: not 0 where a GradScaler saw a non-finite gradient: the step is masked.
        dtype: the type computed in.
    """

    alpha: float | Tensor
    beta: float | Tensor
    mix: float | Tensor
    lr: float | Tensor
    momentum: float
    dampening: float
    nesterov: bool
    weight_decay: float
    maximize: bool
    eps: float
    tau: float
    normalise: bool
    pooled: bool
    transform: str
    unit_rms: bool
    stochastic_rounding: bool
    grad_scale: Tensor | None
    found_inf: Tensor | None
    dtype: torch.dtype


def working_dtype(params: Sequence[Tensor]) -> torch.dtype:
    """Give the type that a group is computed in: float32, or float64 when a tensor has it."""
    wide = any(p.dtype == torch.float64 for p in params)
    return torch.float64 if wide else torch.float32


def as_real(t: Tensor) -> Tensor:
    """Give what a step computes on: a complex tensor's real and imaginary parts, as a view."""
    return torch.view_as_real(t) if t.is_complex() else t
