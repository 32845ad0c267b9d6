"""The update on ``torch._foreach_*``: few launches, whatever the number of tensors."""

from __future__ import annotations

import torch
from torch import Tensor

from alphagrad.optim.layer_math import LayerMath
from alphagrad.optim.rounding import stochastic_round
from alphagrad.optim.rule import Rule


def multi_tensor_alphagrad(
    params: list[Tensor], grads: list[Tensor], buffers: list[Tensor], layers: LayerMath, rule: Rule
) -> None:
    """Update present, non-empty tensors in place, all at once.

    Args:
        params: m tensors.
        grads: their gradients.
        buffers: v per tensor; empty without momentum.
        layers: the vectors of the group.
        rule: the options.
    """
    dtype = rule.dtype
    if not params:  # this rank holds no entry of the group, others may
        layers.scales([], [])
        layers.record([])
        return
    work = [g.to(dtype) for g in grads]
    # In float64, because the squares of float32 end at 1e-23 and 1e19.
    scales = layers.scales(torch._foreach_norm(work, 2, layers.dtype), _count_nonzero(work))
    xs = torch._foreach_mul(work, scales)
    for x in xs:
        x.nan_to_num_(0.0)  # a non-finite gradient times its scale of 0 is NaN
    over = torch._foreach_abs(xs)
    torch._foreach_sub_(over, rule.tau)
    torch._foreach_clamp_min_(over, 0.0)
    us = _shaped(xs, layers, rule)
    squares = [norm.square() for norm in torch._foreach_norm(us)] if rule.unit_rms else []
    factors = layers.record(_count_nonzero(over), squares)
    if factors:
        torch._foreach_mul_(us, factors)
    torch._foreach_mul_(us, rule.lr)
    if buffers:
        us = _with_momentum(us, buffers, layers, rule)
    _move(params, us, layers, rule)


def _count_nonzero(tensors: list[Tensor] | tuple[Tensor, ...]) -> list[Tensor]:
    if tensors[0].is_cpu:
        return [torch.count_nonzero(t) for t in tensors]
    # The sum of the signs' magnitudes counts: the 1-norm is fused on CUDA, the 0-norm is not.
    return list(torch._foreach_norm(torch._foreach_sign(tensors), 1))


def _shaped(xs: list[Tensor] | tuple[Tensor, ...], layers: LayerMath, rule: Rule) -> list[Tensor]:
    """Turn the tanh's inputs into g'."""
    us = list(torch._foreach_tanh(xs))
    betas = layers.constants(rule.beta)
    if betas is not None:
        torch._foreach_mul_(us, betas)
    if rule.transform == "sin":
        torch._foreach_sin_(us)
    mixing = layers.mixing()
    if mixing is not None:
        mix, rest = mixing
        torch._foreach_mul_(us, mix)
        torch._foreach_add_(us, torch._foreach_mul(xs, rest))
    return us


def _with_momentum(
    steps: list[Tensor], buffers: list[Tensor], layers: LayerMath, rule: Rule
) -> list[Tensor]:
    """Advance v by the steps, and give the steps along it."""
    vs = [b.to(rule.dtype) for b in buffers]
    decays, weights = layers.momentum()
    torch._foreach_mul_(vs, decays)
    torch._foreach_add_(vs, steps, alpha=1 - rule.dampening)
    for b, v in zip(buffers, vs, strict=True):
        if v is not b:
            b.copy_(v)
    if not rule.nesterov:
        return list(torch._foreach_mul(vs, weights))
    torch._foreach_add_(steps, vs, alpha=rule.momentum)
    torch._foreach_mul_(steps, weights)
    return steps


def _move(params: list[Tensor], steps: list[Tensor], layers: LayerMath, rule: Rule) -> None:
    """Apply weight decay and the steps."""
    if all(p.dtype == rule.dtype for p in params):
        if rule.weight_decay:
            torch._foreach_mul_(params, layers.keep())
        torch._foreach_sub_(params, steps)
        return
    moved = [p.to(rule.dtype) for p in params]
    if rule.weight_decay:
        moved = list(torch._foreach_mul(moved, layers.keep()))
    moved = list(torch._foreach_sub(moved, steps))
    for p, x in zip(params, moved, strict=True):
        p.copy_(stochastic_round(x, p.dtype) if rule.stochastic_rounding else x)
