"""The AlphaGrad update as a function of tensors: native, a loop, or ``torch._foreach_*``."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.linalg import vector_norm

from alphagrad.optim import native


def alphagrad(
    params: Sequence[Tensor],
    grads: Sequence[Tensor | None],
    momentum_buffers: Sequence[Tensor | None],
    *,
    alpha: float | Tensor,
    saturation: Tensor,
    skipped: Tensor,
    lr: float,
    momentum: float = 0.0,
    eps: float = 1e-8,
    tau: float = 2.5,
    norm: str = "tensor",
    foreach: bool | None = None,
    fused: bool | None = None,
) -> None:
    """Update the tensors of one group in place (paper, section 2). Call it without autograd.

    Nothing here waits for the device. A layer whose gradient is zero, non-finite or missing keeps
    its parameters and its momentum, and is counted. Unless the native kernel runs, a gradient whose
    norm overflows in float32 is non-finite.

    Args:
        params: n tensors on one device. Computed in float32, or float64 when one of them is.
        grads: their gradients, None where missing.
        momentum_buffers: v per tensor, None where the gradient is missing; empty for no momentum.
        alpha: a number, or a float32 vector of shape (n,) on the same device.
        saturation: float32 (n,), written: the fraction of non-zero entries with |α·g̃| > τ, NaN
            where the layer was skipped.
        skipped: int64 (3, n), added to: zero, non-finite and missing gradients.
        lr: η.
        momentum: γ (default: 0.0).
        eps: ε, added to the norm (default: 1e-8).
        tau: τ (default: 2.5).
        norm: ``"tensor"``, or ``"group"`` for one norm over all tensors (default: ``"tensor"``).
        foreach: run on ``torch._foreach_*``; None means on CUDA only (default: None).
        fused: run in the native CPU kernel; None means where it was built and takes the tensors,
            unless ``foreach`` is given (default: None).

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
    present = [i for i, g in enumerate(grads) if g is not None]
    if not present:
        skipped[2].add_(1)
        saturation.fill_(torch.nan)
        return
    given = [g for g in grads if g is not None]
    for g in given:
        if g.layout is not torch.strided:
            raise RuntimeError(f"AlphaGrad does not support {g.layout} gradients, use dense ones")
    buffers = _pick_buffers(momentum_buffers, present)
    if fused or (fused is None and foreach is None):
        table = native.addresses(params, grads, momentum_buffers)
        if table is not None:
            native.step(
                table,
                params,
                buffers,
                alpha=alpha,
                saturation=saturation,
                skipped=skipped,
                lr=lr,
                momentum=momentum,
                eps=eps,
                tau=tau,
                pooled=norm == "group",
            )
            return
        if fused:
            raise RuntimeError(f"fused=True cannot run here: {native.needs()}")
    if foreach is None:
        foreach = params[0].is_cuda
    update = _multi_tensor_alphagrad if foreach else _single_tensor_alphagrad
    update(
        [params[i] for i in present],
        given,
        buffers,
        _Layers(present, len(params), norm, alpha, eps, saturation, skipped),
        lr=lr,
        momentum=momentum,
        tau=tau,
        dtype=torch.float64 if any(p.dtype == torch.float64 for p in params) else torch.float32,
    )


def _pick_buffers(buffers: Sequence[Tensor | None], present: list[int]) -> list[Tensor]:
    picked = [buffers[i] for i in present] if buffers else []
    found = [b for b in picked if b is not None]
    if len(found) < len(picked):
        raise ValueError(f"Invalid momentum_buffers: {len(picked) - len(found)} missing, must be 0")
    return found


class _Layers:
    """The part of the update that works on vectors with one entry per tensor."""

    def __init__(
        self,
        present: list[int],
        n: int,
        norm: str,
        alpha: float | Tensor,
        eps: float,
        saturation: Tensor,
        skipped: Tensor,
    ) -> None:
        self.present, self.n, self.pooled = present, n, norm == "group"
        self.alpha, self.eps = alpha, eps
        self.saturation, self.skipped = saturation, skipped

    def stack(self, values: Sequence[Tensor], missing: float) -> Tensor:
        if len(values) < self.n:
            filler = torch.full_like(values[0], missing)
            spread = dict(zip(self.present, values, strict=True))
            values = [spread.get(i, filler) for i in range(self.n)]
        return torch.stack(tuple(values))

    def pick(self, vector: Tensor) -> list[Tensor]:
        parts = vector.unbind()
        return list(parts) if len(self.present) == self.n else [parts[i] for i in self.present]

    def scales(self, norms: Sequence[Tensor], counts: Sequence[Tensor]) -> list[Tensor]:
        """Give α/(‖g‖ + ε) per tensor, 0 where the layer is skipped."""
        size, count = self.stack(norms, 0.0), self.stack(counts, -1.0)
        if self.pooled:
            size = vector_norm(size).expand(self.n)
            count = count.clamp_min(0).sum().expand(self.n)
        # One comparison rejects both inf and NaN.
        self.finite, self.count = size < torch.inf, count
        self.live = self.finite & (count > 0)
        return self.pick(torch.where(self.live, self.alpha / (size + self.eps), 0.0))

    def momentum(self, gamma: float, dtype: torch.dtype) -> tuple[list[Tensor], list[Tensor]]:
        """Give per tensor the decay of v and the weight of v in the step: 1 and 0 when skipped."""
        weight = self.live.to(dtype)
        # weight * gamma keeps float64, where a Python number would give float32.
        return self.pick(torch.where(self.live, weight * gamma, 1.0)), self.pick(weight)

    def record(self, hits: Sequence[Tensor]) -> None:
        hit = self.stack(hits, 0.0)
        if self.pooled:
            hit = hit.sum().expand(self.n)
        self.saturation.copy_(torch.where(self.live, hit / self.count, torch.nan))
        zero = self.finite & (self.count == 0)
        self.skipped.add_(torch.stack((zero, ~self.finite, self.count < 0)))


def _single_tensor_alphagrad(
    params: list[Tensor],
    grads: list[Tensor],
    buffers: list[Tensor],
    layers: _Layers,
    *,
    lr: float,
    momentum: float,
    tau: float,
    dtype: torch.dtype,
) -> None:
    norms = [vector_norm(g) if g.dtype == dtype else vector_norm(g, dtype=dtype) for g in grads]
    scales = layers.scales(norms, [torch.count_nonzero(g) for g in grads])
    if buffers:
        decays, weights = layers.momentum(momentum, dtype)
    hits = []
    for i, (p, g, scale) in enumerate(zip(params, grads, scales, strict=True)):
        # A non-finite gradient times its scale of 0 is NaN, which becomes 0 here.
        u = (g * scale if g.dtype == dtype else g.to(dtype).mul_(scale)).nan_to_num_(0.0)
        hits.append(torch.count_nonzero(torch.hardshrink(u, tau)))
        u.tanh_()
        if buffers:
            b = buffers[i]
            v = b if b.dtype == dtype else b.to(dtype)
            v.mul_(decays[i]).add_(u, alpha=lr)
            if v is not b:
                b.copy_(v)
            p.addcmul_(v, weights[i], value=-1)
        else:
            p.sub_(u, alpha=lr)
    layers.record(hits)


def _multi_tensor_alphagrad(
    params: list[Tensor],
    grads: list[Tensor],
    buffers: list[Tensor],
    layers: _Layers,
    *,
    lr: float,
    momentum: float,
    tau: float,
    dtype: torch.dtype,
) -> None:
    work = [g if g.dtype == dtype else g.to(dtype) for g in grads]
    # The sum of the signs' magnitudes counts: the 1-norm is fused on CUDA, the 0-norm is not.
    counts = torch._foreach_norm(torch._foreach_sign(work), 1)
    scales = layers.scales(torch._foreach_norm(work), counts)
    us = torch._foreach_mul(work, scales)
    for u in us:
        u.nan_to_num_(0.0)
    over = torch._foreach_abs(us)
    torch._foreach_sub_(over, tau)
    torch._foreach_clamp_min_(over, 0.0)
    torch._foreach_sign_(over)
    layers.record(torch._foreach_norm(over, 1))
    torch._foreach_tanh_(us)
    if not buffers:
        torch._foreach_sub_(params, us, alpha=lr)
        return
    vs = [b if b.dtype == dtype else b.to(dtype) for b in buffers]
    decays, weights = layers.momentum(momentum, dtype)
    torch._foreach_mul_(vs, decays)
    torch._foreach_add_(vs, us, alpha=lr)
    for b, v in zip(buffers, vs, strict=True):
        if v is not b:
            b.copy_(v)
    torch._foreach_sub_(params, torch._foreach_mul(vs, weights))
