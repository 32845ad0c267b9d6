"""The AlphaGrad update as a function of tensors."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor
from torch.compiler import is_compiling

from alphagrad.optim import native, triton_update
from alphagrad.optim.layer_math import LayerMath
from alphagrad.optim.multi_tensor import multi_tensor_alphagrad
from alphagrad.optim.rule import Rule, as_real, working_dtype
from alphagrad.optim.sharded import is_sharded, local_parts
from alphagrad.optim.single_tensor import single_tensor_alphagrad


def alphagrad(
    params: Sequence[Tensor],
    grads: Sequence[Tensor | None],
    momentum_buffers: Sequence[Tensor | None],
    *,
    alpha: float | Tensor,
    saturation: Tensor,
    skipped: Tensor,
    lr: float | Tensor,
    momentum: float = 0.0,
    dampening: float = 0.0,
    nesterov: bool = False,
    weight_decay: float = 0.0,
    eps: float = 1e-8,
    tau: float = 2.5,
    norm: str = "tensor",
    transform: str = "tanh",
    beta: float | Tensor = 1.0,
    mix: float | Tensor = 1.0,
    unit_rms: bool = False,
    stochastic_rounding: bool = False,
    maximize: bool = False,
    foreach: bool | None = None,
    fused: bool | None = None,
    differentiable: bool = False,
    grad_scale: Tensor | None = None,
    found_inf: Tensor | None = None,
) -> None:
    """Update the tensors of one group in place (paper, section 2).

    Nothing here waits for a device. A layer whose gradient is zero, non-finite or missing keeps
    its parameters and its momentum, and is counted. The options mean what they mean in
    :class:`AlphaGrad`, which checks them; here they are taken as they are.

    Args:
        params: n tensors on one device. Computed in float32, or float64 when one of them is.
        grads: their gradients, None where missing.
        momentum_buffers: v per tensor, None where the gradient is missing; empty for no momentum.
        alpha: a number, or a float32 vector of shape (n,) on the same device.
        saturation: float32 (n,), written: the fraction of non-zero entries with |α·g̃| > τ, NaN
            where the layer was skipped or its gradient's norm is below ε.
        skipped: int64 (3, n), added to: zero, non-finite and missing gradients.
        lr: η, a number or a tensor of one element.
        momentum: γ (default: 0.0).
        dampening: part of a new step that v leaves out (default: 0.0).
        nesterov: look ahead along v (default: False).
        weight_decay: decoupled decay (default: 0.0).
        eps: ε, added to the norm (default: 1e-8).
        tau: τ (default: 2.5).
        norm: ``"tensor"``, ``"group"`` for one norm over all tensors, or ``"none"``
            (default: ``"tensor"``).
        transform: ``"tanh"``, or ``"sin"`` for the sine of it (default: ``"tanh"``).
        beta: β, as α (default: 1.0).
        mix: λ, as α (default: 1.0).
        unit_rms: divide g' by its RMS over the non-zero entries (default: False).
        stochastic_rounding: round parameters of 16 bits at random (default: False).
        maximize: ascend (default: False).
        foreach: run on ``torch._foreach_*``; None means on CUDA only, where ``fused`` cannot run
            (default: None).
        fused: run in the native CPU kernel, or in Triton's on CUDA; None means where they take the
            tensors, unless ``foreach`` is given (default: None).
        differentiable: let autograd see the step, on the loop (default: False).
        grad_scale: what a GradScaler multiplied the gradients by (default: None).
        found_inf: not 0 where the GradScaler saw a non-finite gradient: nothing changes then but
            saturation, which becomes NaN (default: None).

    Raises:
        RuntimeError: a gradient is sparse; or ``fused`` is asked for and cannot run.
        ValueError: a tensor has a gradient and no momentum buffer, and others have one.

    Example:
        >>> p, g = torch.zeros(4), torch.tensor([0.5, 0.5, -0.5, -0.5])
        >>> sat, skipped = torch.zeros(1), torch.zeros(3, 1, dtype=torch.int64)
        >>> alphagrad([p], [g], [], alpha=2.0, saturation=sat, skipped=skipped, lr=1.0)
        >>> p
        tensor([-0.7616, -0.7616,  0.7616,  0.7616])
    """
    native_first = fused or (fused is None and foreach is None)
    plain = transform == "tanh" and norm != "none"
    if native_first and plain and params[0].is_cpu and not is_compiling():
        # Numbers on the CPU are read without waiting for anything.
        if found_inf is not None and found_inf.item():
            saturation.fill_(torch.nan)
            return
        if native.step(
            params,
            grads,
            momentum_buffers,
            alpha=alpha,
            beta=beta,
            mix=mix,
            saturation=saturation,
            skipped=skipped,
            lr=float(lr),
            momentum=momentum,
            dampening=dampening,
            nesterov=nesterov,
            weight_decay=weight_decay,
            maximize=maximize,
            eps=eps,
            tau=tau,
            pooled=norm == "group",
            unit_rms=unit_rms,
            seed=_draw_seed() if stochastic_rounding else None,
            inv_scale=1.0 if grad_scale is None else 1.0 / grad_scale.item(),
        ):
            return
    if all(g is None for g in grads):
        skipped[2].add_(1)
        saturation.fill_(torch.nan)
        return
    rule = Rule(
        alpha=alpha,
        beta=beta,
        mix=mix,
        lr=lr.view(()) if isinstance(lr, Tensor) else lr,
        momentum=momentum,
        dampening=dampening,
        nesterov=nesterov,
        weight_decay=weight_decay,
        maximize=maximize,
        eps=eps,
        tau=tau,
        normalise=norm != "none",
        pooled=norm == "group",
        transform=transform,
        unit_rms=unit_rms,
        stochastic_rounding=stochastic_rounding,
        grad_scale=grad_scale,
        found_inf=found_inf,
        dtype=torch.float32,
    )
    on_gpu = native_first and not differentiable and (fused or not params[0].is_cpu)
    take = partial(triton_update.step, rule=rule, saturation=saturation, skipped=skipped)
    if on_gpu and take(params, grads, momentum_buffers):
        return
    for p, g in zip(params, grads, strict=True):
        if g is not None and g.layout is not torch.strided:
            raise RuntimeError(f"AlphaGrad does not support {g.layout} gradients, use dense ones")
        if g is not None and g.shape != p.shape:
            raise ValueError(f"Invalid gradient shape: {tuple(g.shape)}, must be {tuple(p.shape)}")
    with torch.set_grad_enabled(differentiable):
        reduce = None
        if is_sharded(params) or is_sharded(grads):
            params, grads, momentum_buffers, reduce = local_parts(params, grads, momentum_buffers)
            if on_gpu and take(params, grads, momentum_buffers, reduce=reduce):
                return
        if fused and not all(p.numel() == 0 for p in params):
            cpu = params[0].is_cpu
            needs = native.needs() if cpu else triton_update.needs(params[0].device)
            raise RuntimeError(f"fused=True cannot run here: {needs}")
        params = [as_real(p) for p in params]
        grads = [None if g is None else as_real(g) for g in grads]
        buffers = [None if b is None else as_real(b) for b in momentum_buffers]
        rule.dtype = working_dtype(params)
        layers = LayerMath(rule, grads, saturation, skipped, reduce)
        present = (
            [params[i] for i in layers.present],
            _pick(grads, layers.present, "grads"),
            _pick(buffers, layers.present, "momentum_buffers") if buffers else [],
        )
        many = foreach or (foreach is None and params[0].is_cuda)
        (multi_tensor_alphagrad if many else single_tensor_alphagrad)(*present, layers, rule)


def _draw_seed() -> int:
    return int(torch.randint(2**62, ()).item())


def _pick(tensors: Sequence[Tensor | None], present: list[int], name: str) -> list[Tensor]:
    picked = [tensors[i] for i in present]
    found = [t for t in picked if t is not None]
    if len(found) < len(picked):
        raise ValueError(f"Invalid {name}: {len(picked) - len(found)} missing, must be 0")
    return found
