"""The packed vectors of a parameter group: one entry per tensor, on the group's device."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from alphagrad.optim.alpha_rule import layer_sizes, sqrt_d_alpha
from alphagrad.optim.options import check_alpha

SKIP_REASONS = ("zero", "non_finite", "missing")


def group_device(group: dict[str, Any]) -> torch.device:
    """Give the device of a group's tensors; the CPU when it has none."""
    params = group["params"]
    return params[0].device if params else torch.device("cpu")


def is_packed(group: dict[str, Any], device: torch.device) -> bool:
    """Say whether a step on this device can use a group's vectors and α as they are."""
    alpha = group["alpha"]
    if isinstance(alpha, Tensor):
        ready = alpha.device == device and alpha.dtype == torch.float32
    else:
        ready = type(alpha) is float
    return ready and bool(group["saturation"].device == device)


def pack_group(group: dict[str, Any]) -> None:
    """Give a group the packed vectors it lacks, and move those it has to the group's device.

    The vectors are ``saturation`` (float32, (n,), NaN where nothing was measured), ``pinned``
    (bool, (n,)) and ``skipped`` (int64, (3, n), in the order of ``SKIP_REASONS``). ``alpha``
    becomes a float or a float32 vector of shape (n,).

    Args:
        group: a parameter group with its options filled in; changed in place.

    Raises:
        ValueError: ``group["alpha"]`` is not a valid α for this group.
    """
    n, device = len(group["params"]), group_device(group)
    if "saturation" not in group:
        group["saturation"] = torch.full((n,), torch.nan, dtype=torch.float32)
    if "pinned" not in group:
        group["pinned"] = torch.zeros(n, dtype=torch.bool)
    if "skipped" not in group:
        group["skipped"] = torch.zeros(len(SKIP_REASONS), n, dtype=torch.int64)
    for key in ("saturation", "pinned", "skipped"):
        group[key] = group[key].to(device)
    alpha = group.get("alpha")
    if isinstance(alpha, Tensor) and alpha.shape == (n,) and alpha.dtype == torch.float32:
        # Already packed: no look at its values, which would wait for the device.
        group["alpha"] = alpha.to(device)
    else:
        group["alpha"] = as_alpha(alpha, group)


def as_alpha(alpha: object, group: dict[str, Any]) -> float | Tensor:
    """Turn what a user may give for α into what a group stores.

    Args:
        alpha: None for k·√d, a number for the whole group, or one number per tensor.
        group: the group it is for.

    Returns:
        A float, or a new float32 vector of shape (n,) on the group's device.

    Raises:
        ValueError: the length is wrong, a value is not finite and > 0, or the tensors of a group
            that is one layer would get different values.
    """
    n = len(group["params"])
    if alpha is None:
        sizes = layer_sizes(group["params"], norm=group["norm"])
        values = [sqrt_d_alpha(size, group["k"]) for size in sizes]
    elif isinstance(alpha, Tensor) and alpha.dim() > 0:
        values = alpha.tolist()
    elif isinstance(alpha, Sequence) and not isinstance(alpha, str):
        values = list(alpha)
    else:
        return check_alpha(alpha)
    if len(values) != n:
        raise ValueError(f"Invalid alpha: {len(values)} values, must be one per tensor, here {n}")
    values = [check_alpha(value) for value in values]
    if group["norm"] == "group" and len(set(values)) > 1:
        raise ValueError(f"Invalid alpha: {values}, must be one value when norm='group'")
    return torch.tensor(values, dtype=torch.float32).to(group_device(group))


def alpha_vector(group: dict[str, Any]) -> Tensor:
    """Give a group's α as its packed vector, which replaces a float first.

    Args:
        group: a parameter group of an :class:`AlphaGrad`; ``group["alpha"]`` may be changed.

    Returns:
        ``group["alpha"]`` itself, float32 of shape (n,): writes to it are writes to the knob.

    Example:
        >>> group = {"params": [torch.zeros(2)], "norm": "tensor", "k": 1.5, "alpha": 50.0}
        >>> alpha_vector(group)
        tensor([50.])
    """
    device = group_device(group)
    if not ("saturation" in group and is_packed(group, device)):
        pack_group(group)
    alpha = group["alpha"]
    if not isinstance(alpha, Tensor):
        size = (len(group["params"]),)
        group["alpha"] = alpha = torch.full(size, alpha, dtype=torch.float32, device=device)
    return alpha
