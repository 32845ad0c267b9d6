"""The update as a loop over tensors: short, differentiable, the one to read first."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.linalg import vector_norm

from alphagrad.optim.layer_math import LayerMath
from alphagrad.optim.rounding import stochastic_round
from alphagrad.optim.rule import Rule


def single_tensor_alphagrad(
    params: list[Tensor], grads: list[Tensor], buffers: list[Tensor], layers: LayerMath, rule: Rule
) -> None:
    """Update present, non-empty tensors in place, one after the other.

    Args:
        params: m tensors.
        grads: their gradients.
        buffers: v per tensor; empty without momentum.
        layers: the vectors of the group.
        rule: the options.
    """
    dtype = rule.dtype
    grads = [g.to(dtype) for g in grads]
    # In float64, because the squares of float32 end at 1e-23 and 1e19.
    norms = [vector_norm(g, dtype=layers.dtype) for g in grads]
    scales = layers.scales(norms, [torch.count_nonzero(g) for g in grads])
    shape = _Shape(layers, rule)

    def tanh_input(i: int) -> Tensor:
        # A non-finite gradient times its scale of 0 is NaN, which becomes 0 here.
        return (grads[i] * scales[i]).nan_to_num(0.0)

    def count_hits(x: Tensor) -> Tensor:
        return torch.count_nonzero(x.abs() > rule.tau)

    hits, squares, factors = [], [], []
    if rule.unit_rms:  # a layer's RMS must be known before its first entry moves
        for i in range(len(grads)):
            x = tanh_input(i)
            hits.append(count_hits(x))
            squares.append(shape(i, x).square().sum())
        factors = layers.record(hits, squares)
    keep = layers.keep() if rule.weight_decay else []
    decays, weights = layers.momentum() if buffers else ([], [])
    for i, p in enumerate(params):
        x = tanh_input(i)
        if not rule.unit_rms:
            hits.append(count_hits(x))
        u = shape(i, x)
        if factors:
            u = u * factors[i]
        step = u * rule.lr
        if buffers:
            b = buffers[i]
            v = b.to(dtype) * decays[i] + step * (1 - rule.dampening)
            b.copy_(v)
            step = (step + v * rule.momentum if rule.nesterov else v) * weights[i]
        if p.dtype == dtype:
            if keep:
                p.mul_(keep[i])
            p.sub_(step)
            continue
        moved = (p.to(dtype) * keep[i] if keep else p.to(dtype)) - step
        p.copy_(stochastic_round(moved, p.dtype) if rule.stochastic_rounding else moved)
    if not rule.unit_rms:
        layers.record(hits)


class _Shape:
    """g' of the tanh's input: λ·β·tanh(x) + (1−λ)·x/α, or with the sine of β·tanh(x)."""

    def __init__(self, layers: LayerMath, rule: Rule) -> None:
        self.sine = rule.transform == "sin"
        self.betas = layers.constants(rule.beta)
        self.mixing = layers.mixing()

    def __call__(self, i: int, x: Tensor) -> Tensor:
        u = x.tanh()
        if self.betas is not None:
            u = u * self.betas[i]
        if self.sine:
            u = u.sin()
        if self.mixing is not None:
            mix, rest = self.mixing
            u = u * mix[i] + x * rest[i]
        return u
