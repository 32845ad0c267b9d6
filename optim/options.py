"""Checks of AlphaGrad's options. Every message names the value and says what is allowed."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch

_CHOICES = {"norm": ("tensor", "group", "none"), "transform": ("tanh", "sin")}
_SWITCHES = (
    "nesterov",
    "unit_rms",
    "stochastic_rounding",
    "maximize",
    "capturable",
    "differentiable",
)


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
    info = torch.finfo(torch.float32)
    return _number(value, what, "finite and > 0 in float32", info.tiny, info.max)


def check_mix(value: object, what: str = "mix") -> float:
    """Give a λ as a float, or say why it is not one.

    Args:
        value: the candidate, a Python or numpy number.
        what: what to call it in the message (default: ``"mix"``).

    Returns:
        The value as a float.

    Raises:
        ValueError: not a number in [0, 1].

    Example:
        >>> check_mix(1)
        1.0
    """
    return _number(value, what, "in [0, 1]", 0.0, 1.0)


def _number(value: object, what: str, allowed: str, low: float, high: float) -> float:
    if not isinstance(value, bool | str) and hasattr(value, "__float__"):
        number = float(value)
        if low <= number <= high:
            return number
    raise ValueError(f"Invalid {what}: {value!r}, must be a number, {allowed}")


# What can be changed while training runs, and how each value is checked.
KNOBS: dict[str, Callable[[object, str], float]] = {
    "alpha": check_alpha,
    "beta": check_alpha,
    "mix": check_mix,
}


def check_options(options: Mapping[str, Any]) -> None:
    """Check the options of one parameter group, α, β and λ excepted.

    Args:
        options: every option of :class:`AlphaGrad` but ``alpha``, ``beta`` and ``mix``.

    Raises:
        TypeError: a number is none, or ``lr`` is a tensor of more than one element.
        ValueError: an option is out of its range, or does not go with another.
    """
    for name in ("lr", "eps", "weight_decay", "k", "tau", "momentum", "dampening"):
        if isinstance(options[name], str) or not hasattr(options[name], "__float__"):
            raise TypeError(f"Invalid {name}: {options[name]!r}, must be a number")
    lr = options["lr"]
    if isinstance(lr, torch.Tensor):
        if lr.numel() != 1:
            raise TypeError(f"Invalid lr: a tensor of shape {tuple(lr.shape)}, must hold 1 element")
    elif not 0.0 <= lr < math.inf:
        raise ValueError(f"Invalid lr: {lr}, must be finite and >= 0")
    for name in ("eps", "weight_decay"):
        if not 0.0 <= options[name] < math.inf:
            raise ValueError(f"Invalid {name}: {options[name]}, must be finite and >= 0")
    for name in ("k", "tau"):
        if not 0.0 < options[name] < math.inf:
            raise ValueError(f"Invalid {name}: {options[name]}, must be finite and > 0")
    if not 0.0 <= options["momentum"] < 1.0:
        raise ValueError(f"Invalid momentum: {options['momentum']}, must be in [0, 1)")
    if not 0.0 <= options["dampening"] <= 1.0:
        raise ValueError(f"Invalid dampening: {options['dampening']}, must be in [0, 1]")
    for name, allowed in _CHOICES.items():
        if options[name] not in allowed:
            raise ValueError(f"Invalid {name}: {options[name]!r}, must be one of {allowed}")
    for name in _SWITCHES:
        if options[name] not in (True, False):
            raise ValueError(f"Invalid {name}: {options[name]!r}, must be True or False")
    for name in ("foreach", "fused"):
        if options[name] not in (None, True, False):
            raise ValueError(f"Invalid {name}: {options[name]!r}, must be None, True or False")
    _check_combinations(options)


def _check_combinations(options: Mapping[str, Any]) -> None:
    if options["nesterov"] and (options["momentum"] == 0 or options["dampening"] != 0):
        raise ValueError(
            f"Invalid nesterov: True with momentum={options['momentum']} and "
            f"dampening={options['dampening']}, must have momentum > 0 and dampening 0"
        )
    if options["foreach"] and options["fused"]:
        raise ValueError("Invalid foreach: True with fused=True, must be one of the two")
    for name, needed in {"transform": "sin", "norm": "none"}.items():
        if options["fused"] and options[name] == needed:
            raise ValueError(f"Invalid fused: True with {name}={needed!r}, must be None or False")
    for name in ("foreach", "fused"):
        if options["differentiable"] and options[name]:
            raise ValueError(f"Invalid {name}: True with differentiable=True, must be one of them")


def check_params(params: list[torch.Tensor]) -> None:
    """Check that AlphaGrad can step the tensors of one group.

    Args:
        params: the group's tensors.

    Raises:
        TypeError: a tensor holds no floating point or complex numbers.
        ValueError: the tensors lie on more than one device.

    Example:
        >>> check_params([torch.zeros(2), torch.zeros(3)])
    """
    for p in params:
        if not (p.is_floating_point() or p.is_complex()):
            raise TypeError(
                f"Invalid parameter dtype: {p.dtype}, must be a floating point or complex type"
            )
    devices = sorted({str(p.device) for p in params})
    if len(devices) > 1:
        raise ValueError(
            f"Invalid devices: {', '.join(devices)} in one parameter group, must be one device; "
            "make one group per device"
        )
