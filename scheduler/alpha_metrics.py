"""α and saturation as the flat dicts of numbers that loggers take."""

import math
from collections.abc import Iterable, Sequence

import torch

from alphagrad.optim import AlphaGrad


def read_layers(optimizer: AlphaGrad) -> tuple[list[str], list[float], list[float]]:
    """Give names, α and saturation of all layers, with one copy from the device.

    Args:
        optimizer: the optimizer.

    Returns:
        Three lists of one length; saturation is NaN where the last step skipped the layer.
    """
    alphas, saturations = torch.stack(optimizer.packed()).tolist()
    return optimizer.layer_names(), alphas, saturations


def alpha_metrics(optimizer: AlphaGrad, *, prefix: str = "") -> dict[str, float]:
    """Give α and saturation of each layer; a layer without a measured saturation has none here.

    Args:
        optimizer: the optimizer.
        prefix: put before each layer's name (default: none).

    Returns:
        ``{"alpha/<layer>": …, "saturation/<layer>": …}``.

    Example:
        >>> alpha_metrics(AlphaGrad([torch.zeros(4)], alpha=3.0))
        {'alpha/0.0': 3.0}
    """
    names, alphas, saturations = read_layers(optimizer)
    metrics = {f"alpha/{prefix}{name}": alpha for name, alpha in zip(names, alphas, strict=True)}
    for name, saturation in zip(names, saturations, strict=True):
        if not math.isnan(saturation):
            metrics[f"saturation/{prefix}{name}"] = saturation
    return metrics


def alpha_summary(optimizers: Iterable[AlphaGrad]) -> dict[str, float]:
    """Give mean, least and largest α and saturation over the layers of all optimizers.

    Args:
        optimizers: the optimizers.

    Returns:
        ``{"alpha_mean": …, "alpha_min": …, "alpha_max": …}`` and, if one was measured, the same
        of ``saturation``.

    Example:
        >>> alpha_summary([AlphaGrad([torch.zeros(4), torch.zeros(4)], alpha=[2.0, 4.0])])
        {'alpha_mean': 3.0, 'alpha_min': 2.0, 'alpha_max': 4.0}
    """
    alphas: list[float] = []
    saturations: list[float] = []
    for optimizer in optimizers:
        _, some, others = read_layers(optimizer)
        alphas += some
        saturations += [saturation for saturation in others if not math.isnan(saturation)]
    return _summary("alpha", alphas) | _summary("saturation", saturations)


def _summary(name: str, values: Sequence[float]) -> dict[str, float]:
    if not values:
        return {}
    mean = sum(values) / len(values)
    return {f"{name}_mean": mean, f"{name}_min": min(values), f"{name}_max": max(values)}
