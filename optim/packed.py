"""The packed vectors of a parameter group: one entry per tensor, on the group's device."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from alphagrad.optim.alpha_rule import layer_sizes, sqrt_d_alpha
from alphagrad.optim.options import KNOBS

SKIP_REASONS = ("zero", "non_finite", "missing")


def group_device(group: dict[str, Any]) -> torch.device:
    """Give the device of a group's tensors; the CPU when it has none."""
    params = group["params"]
    return params[0].device if params else torch.device("cpu")


def is_packed(group: dict[str, Any], device: torch.device) -> bool:
    """Say whether a step on this device can use a group's vectors and knobs as they are."""
    saturation = group["saturation"]
    if saturation.device != device or saturation.shape[0] != len(group["params"]):
        return False
    for value in (group["alpha"], group["beta"], group["mix"]):
        if type(value) is float:
            if group["capturable"]:
                return False
        elif (
            not isinstance(value, Tensor)
            or value.dtype is not torch.float32
            or value.device != device
            or value.shape != saturation.shape
        ):
            return False
    return True


def pack_group(group: dict[str, Any]) -> None:
    """Give a group the packed vectors it lacks, and move those it has to the group's device.

    The vectors are ``saturation`` (float32, (n,), NaN where nothing was measured), ``pinned``
    (bool, (n,)) and ``skipped`` (int64, (3, n), in the order of ``SKIP_REASONS``). ``alpha``,
    ``beta`` and ``mix`` become floats or float32 vectors of shape (n,); vectors where the group is
    ``capturable``, since a recorded step reads a number once and a vector each time.

    Args:
        group: a parameter group with its options filled in; changed in place.

    Raises:
        ValueError: a knob holds no valid value for this group.
        RuntimeError: the group's tensors were replaced by others, as ZeRO does.
    """
    n, device = len(group["params"]), group_device(group)
    if "saturation" not in group:
        group["saturation"] = torch.full((n,), torch.nan, dtype=torch.float32)
    if "pinned" not in group:
        group["pinned"] = torch.zeros(n, dtype=torch.bool)
    if "skipped" not in group:
        group["skipped"] = torch.zeros(len(SKIP_REASONS), n, dtype=torch.int64)
    if len(group["saturation"]) != n:
        raise RuntimeError(
            f"A parameter group of {len(group['saturation'])} tensors now holds {n}. Sharding that "
            "replaces tensors by flat ones (ZeRO) mixes layers, and AlphaGrad needs each layer's "
            "own norm; use torch.distributed.fsdp.fully_shard"
        )
    for key in ("saturation", "pinned", "skipped"):
        group[key] = group[key].to(device)
    for name in KNOBS:
        value = group[name]
        if isinstance(value, Tensor) and value.shape == (n,) and value.dtype == torch.float32:
            # Already packed: no look at its values, which would wait for the device.
            group[name] = value.to(device)
        else:
            group[name] = as_knob(name, value, group)
        if group["capturable"]:
            _as_vector(group, name)


def as_knob(name: str, value: object, group: dict[str, Any]) -> float | Tensor:
    """Turn what a user may give for α, β or λ into what a group stores.

    Args:
        name: ``"alpha"``, ``"beta"`` or ``"mix"``.
        value: a number for the whole group, or one number per tensor; for α also None for k·√d.
        group: the group it is for.

    Returns:
        A float, or a new float32 vector of shape (n,) on the group's device.

    Raises:
        ValueError: the length is wrong, a value is out of its range, or the tensors of a group
            that is one layer would get different values.
    """
    n, check = len(group["params"]), KNOBS[name]
    if value is None and name == "alpha":
        sizes = layer_sizes(group["params"], norm=group["norm"])
        values = [sqrt_d_alpha(size, group["k"]) for size in sizes]
    elif isinstance(value, Tensor) and value.dim() > 0:
        values = value.tolist()
    elif isinstance(value, Sequence) and not isinstance(value, str):
        values = list(value)
    else:
        return check(value, name)
    if len(values) != n:
        raise ValueError(f"Invalid {name}: {len(values)} values, must be one per tensor, here {n}")
    values = [check(value, name) for value in values]
    if group["norm"] == "group" and len(set(values)) > 1:
        raise ValueError(f"Invalid {name}: {values}, must be one value when norm='group'")
    return torch.tensor(values, dtype=torch.float32).to(group_device(group))


def knob_vector(group: dict[str, Any], name: str = "alpha") -> Tensor:
    """Give a group's α, β or λ as its packed vector, which replaces a float first.

    Args:
        group: a parameter group of an :class:`AlphaGrad`; it may be changed.
        name: ``"alpha"``, ``"beta"`` or ``"mix"`` (default: ``"alpha"``).

    Returns:
        ``group[name]`` itself, float32 of shape (n,): writes to it are writes to the knob.

    Example:
        >>> from alphagrad.optim import AlphaGrad
        >>> optimizer = AlphaGrad([torch.zeros(2)], alpha=50.0)
        >>> knob_vector(optimizer.param_groups[0])
        tensor([50.])
    """
    if not ("saturation" in group and is_packed(group, group_device(group))):
        pack_group(group)
    return _as_vector(group, name)


def _as_vector(group: dict[str, Any], name: str) -> Tensor:
    value = group[name]
    if not isinstance(value, Tensor):
        shape, device = (len(group["params"]),), group_device(group)
        group[name] = value = torch.full(shape, value, dtype=torch.float32, device=device)
    return value
