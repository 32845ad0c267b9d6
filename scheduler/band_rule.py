"""The rule of saturation control: from measured saturation to a change of log α."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from alphagrad.scheduler.band import Band


@dataclass(frozen=True, slots=True)
class BandRule:
    r"""Moves log α by clip(gain·(f − S), ±max_log_step) while S is on its way to the band.

    f is the band's middle. The rule acts from the step at which S leaves the band until S is in the
    inner band, and rests otherwise, so that noise in S does not move α.

    On Gaussian gradients S changes by at most 0.49 per unit of log α, so the loop does not
    oscillate while gain < 2/0.49, nor overshoot while gain < 1/0.49.

    Attributes:
        gain: change of log α per unit of S.
        max_log_step: largest change of log α in one step.

    Raises:
        ValueError: an attribute is not finite and > 0.

    Example:
        >>> rule, active = BandRule(), torch.tensor([False, False, True])
        >>> rule.move(torch.tensor([0.01, 0.1, 0.1]), Band(0.05, 0.25), active)
        (tensor([0.2036, 0.0000, 0.0000]), tensor([ True, False, False]))
    """

    gain: float = 2.0
    max_log_step: float = 0.5

    def __post_init__(self) -> None:
        for name in ("gain", "max_log_step"):
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise ValueError(f"Invalid {name}: {value}, must be finite and > 0")

    def move(self, saturation: Tensor, band: Band, active: Tensor) -> tuple[Tensor, Tensor]:
        """Give the change of log α per layer, and which layers are on their way now.

        Args:
            saturation: S per layer, NaN where nothing was measured.
            band: where S should be.
            active: bool, which layers were on their way before.
        """
        s, (low, high) = saturation, band.inner
        # A NaN fails each comparison: whether the layer is on its way stays as it was.
        outside = (s < band.low) | (s > band.high)
        inside = (s >= low) & (s <= high)
        active = (active | outside) & ~inside
        move = (self.gain * (band.middle - s)).clamp(-self.max_log_step, self.max_log_step)
        return torch.where(active & ~s.isnan(), move, 0.0), active
