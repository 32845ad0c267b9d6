"""Starting points for the steepness: α = k·√d, and the k that gives a wanted saturation."""

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Literal

from torch import Tensor

Size = Literal["numel", "fan_in"]


def sqrt_d_alpha(numel: int, k: float = 1.5) -> float:
    """Give the steepness k·√d for a tensor of d elements.

    A random unit vector in d dimensions has entries of standard deviation 1/√d, so this α gives the
    input of the tanh a standard deviation of k (paper, section 2.1).

    Args:
        numel: d, the number of elements; an empty tensor counts as one element.
        k: wanted standard deviation of the tanh's input (default: 1.5). The paper names 1 to 3.

    Returns:
        α, without unit.

    Raises:
        ValueError: ``numel`` is negative, or ``k`` is not finite and > 0.

    Example:
        >>> sqrt_d_alpha(4096, k=1.5)
        96.0
    """
    if numel < 0:
        raise ValueError(f"Invalid numel: {numel}, must be >= 0")
    if not (math.isfinite(k) and k > 0):
        raise ValueError(f"Invalid k: {k}, must be finite and > 0")
    return k * math.sqrt(max(numel, 1))


def k_from_saturation(saturation: float, tau: float = 2.5) -> float:
    """Give the k at which a Gaussian gradient has this saturation: τ / Z_{f/2}.

    Z_{f/2} is the two-sided standard normal quantile, P(|N(0,1)| > Z) = f (paper, section 2.1).

    Args:
        saturation: f, the wanted fraction of entries with |α·g̃| > τ, in (0, 1).
        tau: τ, the threshold (default: 2.5).

    Returns:
        k, to be used as α = k·√d.

    Raises:
        ValueError: ``saturation`` is not in (0, 1), or ``tau`` is not finite and > 0.

    Example:
        >>> round(k_from_saturation(0.05), 4)
        1.2755
    """
    if not 0 < saturation < 1:
        raise ValueError(f"Invalid saturation: {saturation}, must be in (0, 1)")
    if not (math.isfinite(tau) and tau > 0):
        raise ValueError(f"Invalid tau: {tau}, must be finite and > 0")
    # The lower tail keeps its digits where 1 - f/2 would round to 1.
    return tau / -NormalDist().inv_cdf(saturation / 2)


def layer_sizes(params: Sequence[Tensor], *, norm: str = "tensor", d: Size = "numel") -> list[int]:
    """Give the d of the √d rule for each tensor of a parameter group.

    Args:
        params: the tensors of one group.
        norm: ``"tensor"``, or ``"group"`` when the group's tensors share one norm (default:
            ``"tensor"``). With ``"group"`` every entry is the size of the whole group.
        d: ``"numel"`` counts elements, a complex one as two; ``"fan_in"`` counts the inputs of one
            output, numel/shape[0] (default: ``"numel"``). A tensor with less than two dimensions
            has no fan-in and counts its elements. The fan-in of a group is the largest one among
            its tensors with two dimensions or more.

    Returns:
        One size ≥ 1 per tensor.

    Raises:
        ValueError: ``d`` is neither ``"numel"`` nor ``"fan_in"``.

    Example:
        >>> import torch
        >>> layer_sizes([torch.zeros(64, 17), torch.zeros(64)])
        [1088, 64]
        >>> layer_sizes([torch.zeros(64, 17), torch.zeros(64)], d="fan_in")
        [17, 64]
    """
    if d not in ("numel", "fan_in"):
        raise ValueError(f"Invalid d: {d!r}, must be 'numel' or 'fan_in'")
    numels = [p.numel() * (2 if p.is_complex() else 1) for p in params]
    fans = [
        size // max(p.shape[0], 1) if p.dim() > 1 else size
        for p, size in zip(params, numels, strict=True)
    ]
    if norm == "group":
        weights = [fan for p, fan in zip(params, fans, strict=True) if p.dim() > 1]
        total = max(weights) if d == "fan_in" and weights else sum(numels)
        return [max(total, 1)] * len(numels)
    return [max(size, 1) for size in (fans if d == "fan_in" else numels)]
