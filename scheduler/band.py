"""The target of saturation control: a band, fixed or moving in time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from alphagrad.scheduler.factor import check_count


@dataclass(frozen=True, slots=True)
class Band:
    """Where saturation should be.

    Attributes:
        low: lower edge, in (0, 1).
        high: upper edge, in (low, 1).

    Raises:
        ValueError: not 0 < low < high < 1.

    Example:
        >>> round(Band(0.05, 0.25).middle, 4)
        0.1118
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        if not 0 < self.low < self.high < 1:
            raise ValueError(f"Invalid band: {(self.low, self.high)}, must be 0 < low < high < 1")

    @property
    def middle(self) -> float:
        """The geometric mean of the edges: what control aims at."""
        return math.sqrt(self.low * self.high)

    @property
    def inner(self) -> tuple[float, float]:
        """The geometric means of the middle and each edge: where control comes to rest."""
        return math.sqrt(self.low * self.middle), math.sqrt(self.middle * self.high)

    def at(self, step: int) -> Self:
        """Give the band at a step: always this one."""
        return self


@dataclass(frozen=True, slots=True)
class BandSchedule:
    """A band that moves: low saturation early and high late, say (paper, section 7.3).

    The edges go from those of ``start`` to those of ``end`` along straight lines of their
    logarithms.

    Attributes:
        start: band at step 0.
        end: band from ``total_steps`` on.
        total_steps: steps from the one to the other.

    Raises:
        TypeError: an end is no :class:`Band`.
        ValueError: ``total_steps`` is no whole number ≥ 1.

    Example:
        >>> moving = BandSchedule(Band(0.01, 0.04), Band(0.25, 0.64), total_steps=100)
        >>> moving.at(50)
        Band(low=0.05, high=0.16)
    """

    start: Band
    end: Band
    total_steps: int

    def __post_init__(self) -> None:
        for name in ("start", "end"):
            if not isinstance(found := getattr(self, name), Band):
                raise TypeError(f"Invalid {name}: {found!r}, must be a Band")
        check_count(total_steps=self.total_steps)

    def at(self, step: int) -> Band:
        """Give the band at a step."""
        done = min(step / self.total_steps, 1.0)
        if done in (0.0, 1.0):
            return self.end if done else self.start
        return Band(
            round(self.start.low ** (1 - done) * self.end.low**done, 12),
            round(self.start.high ** (1 - done) * self.end.high**done, 12),
        )


def as_band(band: Sequence[float] | Band | BandSchedule) -> Band | BandSchedule:
    """Give a band for its two edges; what is one already stays as it is.

    Args:
        band: ``(low, high)``, or a band.

    Raises:
        TypeError: it is neither a band nor two numbers.
        ValueError: not 0 < low < high < 1.

    Example:
        >>> as_band((0.05, 0.25))
        Band(low=0.05, high=0.25)
    """
    if isinstance(band, Band | BandSchedule):
        return band
    try:
        low, high = map(float, band)
    except (TypeError, ValueError):
        message = f"Invalid band: {band!r}, must be (low, high), a Band or a BandSchedule"
        raise TypeError(message) from None
    return Band(low, high)
