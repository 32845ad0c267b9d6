"""Checks of AlphaGrad's options. Every message names the value and says what is allowed."""

import math
from collections.abc import Mapping
from typing import Any

import torch

_NORMS = ("tensor", "group")


def check_alpha(value: object, what: str = "alpha") -> float:
    """Give an α as a float, or say why it is not one.

    Args:
        value: the candidate, a Python or numpy number.
        what: what to call it in the message (default: ``"alpha"``).

    Returns:
        The value as a float.

    Raises:
        ValueError: not a number, or not finite and > 0 as a float32, the type it is stored in.

    Example:
        >>> check_alpha(50)
        50.0
    """
    allowed = "must be a number, finite and > 0 in float32"
    if isinstance(value, bool | str) or not hasattr(value, "__float__"):
        raise ValueError(f"Invalid {what}: {value!r}, {allowed}")
    number = float(value)
    info = torch.finfo(torch.float32)
    if not info.tiny <= number <= info.max:
        raise ValueError(f"Invalid {what}: {value!r}, {allowed}")
    return number


def check_options(options: Mapping[str, Any]) -> None:
    """Check the options of one parameter group, α excepted.

    Args:
        options: ``lr``, ``k``, ``momentum``, ``eps``, ``tau``, ``norm``, ``foreach``, ``fused``.

    Raises:
        TypeError: ``lr`` is a tensor.
        ValueError: an option is out of its range.

    Example:
        >>> check_options({"lr": 1e-3, "k": 1.5, "momentum": 0.9, "eps": 1e-8, "tau": 2.5,
        ...                "norm": "tensor", "foreach": None, "fused": None})
    """
    if isinstance(options["lr"], torch.Tensor):
        raise TypeError(f"Invalid lr: {options['lr']!r}, must be a Python number, not a tensor")
    for name in ("lr", "eps"):
        if not 0.0 <= options[name] < math.inf:
            raise ValueError(f"Invalid {name}: {options[name]}, must be finite and >= 0")
    for name in ("k", "tau"):
        if not 0.0 < options[name] < math.inf:
            raise ValueError(f"Invalid {name}: {options[name]}, must be finite and > 0")
    if not 0.0 <= options["momentum"] < 1.0:
        raise ValueError(f"Invalid momentum: {options['momentum']}, must be in [0, 1)")
    if options["norm"] not in _NORMS:
        raise ValueError(f"Invalid norm: {options['norm']!r}, must be one of {_NORMS}")
    for name in ("foreach", "fused"):
        if options[name] not in (None, True, False):
            raise ValueError(f"Invalid {name}: {options[name]!r}, must be None, True or False")
    if options["foreach"] and options["fused"]:
        raise ValueError("Invalid foreach: True with fused=True, must be one of the two")


def check_params(params: list[torch.Tensor]) -> None:
    """Check that AlphaGrad can step the tensors of one group.

    Args:
        params: the group's tensors.

    Raises:
        TypeError: a tensor is complex or holds no floating point numbers.
        ValueError: the tensors lie on more than one device.

    Example:
        >>> check_params([torch.zeros(2), torch.zeros(3)])
    """
    for p in params:
        if p.is_complex():
            raise TypeError(f"Invalid parameter dtype: {p.dtype}, complex is not supported yet")
        if not p.is_floating_point():
            raise TypeError(f"Invalid parameter dtype: {p.dtype}, must be a floating point type")
    devices = sorted({str(p.device) for p in params})
    if len(devices) > 1:
        raise ValueError(
            f"Invalid devices: {', '.join(devices)} in one parameter group, must be one device; "
            "make one group per device"
        )
