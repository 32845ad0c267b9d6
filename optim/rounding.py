"""Stochastic rounding to 16 bits."""

import torch
from torch import Tensor

# Bits of float32's mantissa that the type does not keep.
_DROPPED = {torch.bfloat16: 16, torch.float16: 13}


def stochastic_round(x: Tensor, dtype: torch.dtype) -> Tensor:
    """Round to one of the two neighbours at random, so that the expected result is ``x``.

    A step far below half a unit in the last place would otherwise never move a parameter of 16
    bits. The random numbers come from torch's generator of the device.

    Args:
        x: float32.
        dtype: bfloat16, float16, or any other type, to which ``x`` is simply converted.

    Returns:
        ``x`` in ``dtype``. Infinite and NaN entries stay so.

    Example:
        >>> x = torch.full((10_000,), 1 + 2**-10)
        >>> stochastic_round(x, torch.bfloat16).unique().tolist()
        [1.0, 1.0078125]
    """
    if dtype not in _DROPPED:
        return x.to(dtype)
    x = x.to(torch.float32)
    if dtype == torch.float16:
        # Below the normal numbers the spacing is constant, so the mantissa is not what is cut.
        spacing = torch.finfo(dtype).tiny * torch.finfo(dtype).eps
        small = torch.floor(x / spacing + torch.rand_like(x)) * spacing
    bits = x.view(torch.int32)
    noise = torch.randint_like(bits, 1 << _DROPPED[dtype])
    cut = ((bits + noise) & (-1 << _DROPPED[dtype])).view(torch.float32)
    if dtype == torch.float16:
        cut = torch.where(x.abs() < torch.finfo(dtype).tiny, small, cut)
    return torch.where(x.isfinite(), cut, x).to(dtype)
