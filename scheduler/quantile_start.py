"""The α at which a gradient has a wanted saturation, from a sample of its entries."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.linalg import vector_norm

from alphagrad.optim import layer_sizes
from alphagrad.optim.rule import as_real
from alphagrad.optim.sharded import local_parts

# torch.quantile stops at 2**24 elements, and sorting that many would be slow.
SAMPLES = 1 << 16
"""From this to twice as many are looked at."""


@torch.no_grad()
def quantile_alpha(
    group: dict[str, Any], saturation: float, *, tau: float = 2.5, min_numel: int = 1
) -> Tensor:
    """Give the α at which this share of each gradient's non-zero entries has |α·g̃| > τ.

    S(α) never decreases with α, so that α is τ over the (1 − f)-quantile of |g̃| (issue C; the
    quantile is that of fewer than 131,072 entries, evenly spaced). Nothing waits for the device.

    Args:
        group: a parameter group of an :class:`~alphagrad.optim.AlphaGrad`, with gradients.
        saturation: f, the wanted share, in (0, 1).
        tau: τ (default: 2.5).
        min_numel: a layer of fewer entries gets the k = α/√d that the group has in the mean
            (default: 1).

    Returns:
        float32 (n,), NaN where a gradient is zero, non-finite or missing, or its norm below ε.

    Example:
        >>> from alphagrad.optim import AlphaGrad
        >>> optimizer = AlphaGrad([torch.zeros(10_000, requires_grad=True)])
        >>> optimizer.param_groups[0]["params"][0].grad = torch.linspace(-1, 1, 10_000)
        >>> alpha = quantile_alpha(optimizer.param_groups[0], 0.1)
        >>> round(alpha.item() / 100, 3)  # τ / (0.9·√3), the uniform distribution's k
        1.604
    """
    params = group["params"]
    device = group["saturation"].device
    _, grads, _, reduce = local_parts(params, [p.grad for p in params], ())
    wide = torch.float32 if device.type == "mps" else torch.float64
    nan = torch.full((), torch.nan, dtype=wide, device=device)
    zero = torch.zeros((), dtype=wide, device=device)
    squares = [zero if g is None else vector_norm(as_real(g), dtype=wide).square() for g in grads]
    (square,) = reduce(torch.stack(squares).unsqueeze(0))
    if group["norm"] == "group":
        square = square.sum().expand(len(params))
    quantiles, counts = [], []
    for g in grads:
        quantile = nan if g is None or not g.numel() else _quantile(g, 1 - saturation).to(wide)
        known = quantile.isfinite()
        quantiles.append(torch.where(known, quantile, 1.0).log())
        counts.append(known.to(wide) * (0 if g is None else g.numel()))
    # Ranks that hold parts of a tensor, and tensors that share a norm, have each a say by size.
    count = torch.stack(counts)
    weighted, count = reduce(torch.stack((torch.stack(quantiles) * count, count)))
    if group["norm"] == "group":
        weighted, count = weighted.sum().expand_as(count), count.sum().expand_as(count)
    sizes = torch.tensor(layer_sizes(params, norm=group["norm"]), dtype=wide).to(device)
    # log k = log α − log √d, where α = τ·(‖g‖ + ε) / quantile of |g|.
    norm, eps = square.sqrt(), group["eps"]
    if group["norm"] == "none":
        log_norm = 0.0 * norm.log()  # NaN where it is not finite
    else:
        log_norm = torch.where(norm < eps, torch.nan, (norm + eps).log())
    log_k = math.log(tau) + log_norm - weighted / count - sizes.log() / 2
    log_k = torch.where(log_k.isfinite(), log_k, torch.nan)
    if min_numel > 1:
        weight = torch.where(log_k.isnan(), 0.0, sizes)
        mean = (weight * log_k.nan_to_num(0.0)).sum() / weight.sum()
        log_k = torch.where((sizes < min_numel) & ~log_k.isnan(), mean, log_k)
    return (log_k + sizes.log() / 2).exp().to(torch.float32)


def _quantile(g: Tensor, q: float) -> Tensor:
    """Give the q-quantile of the magnitudes of the non-zero entries, from a sample of them."""
    entries = as_real(g).reshape(-1)
    # An odd stride does not keep to the columns of a matrix whose width is even.
    stride = max(entries.numel() // SAMPLES, 1) | 1
    sample = entries[::stride].abs().to(torch.float32)
    return sample.where(sample > 0, torch.nan).nanquantile(q)
