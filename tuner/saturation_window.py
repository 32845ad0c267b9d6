"""The signal of the saturation pruner: how long each layer has been saturated, or linear."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class LayerShares:
    """For each layer, the share of the samples in which it was measured above, or below.

    Attributes:
        layers: the names of the layers that measured anything, length L.
        above: float64, shape (L,).
        below: float64, shape (L,).
    """

    layers: list[str]
    above: NDArray[np.float64]
    below: NDArray[np.float64]


class SaturationWindow:
    """The latest samples of the saturation of a trial's layers.

    Args:
        size: how many samples are kept.
        first_step: samples of earlier steps are left out.
        layers: a glob on the names of the layers that count.

    Example:
        >>> window = SaturationWindow(2)
        >>> window.names = ["w", "b"]
        >>> window.extend([1, 2, 3], np.array([[0.9, 0.1], [0.8, 0.1], [0.7, np.nan]], np.float32))
        >>> window.is_full, window.shares(high=0.75, low=0.2)
        (True, LayerShares(layers=['w', 'b'], above=array([0.5, 0. ]), below=array([0. , 0.5])))
    """

    def __init__(self, size: int, *, first_step: int = 0, layers: str = "*") -> None:
        self.names: list[str] = []
        """The layers' names, in the order of the samples' columns."""
        self.size = size
        self._first_step, self._glob = first_step, layers
        self._rows: deque[NDArray[np.float32]] = deque(maxlen=size)

    @property
    def is_full(self) -> bool:
        """Whether there are as many samples as are looked at."""
        return len(self._rows) == self.size

    @property
    def chosen(self) -> list[int]:
        """The columns of the layers that count."""
        return [
            place
            for place, name in enumerate(self.names)
            if name == self._glob or fnmatchcase(name, self._glob)
        ]

    def extend(self, steps: Sequence[int], saturation: Iterable[NDArray[np.float32]]) -> None:
        """Add samples, oldest first: each one's step and its saturation by layer."""
        for step, row in zip(steps, saturation, strict=True):
            if step >= self._first_step:
                self._rows.append(row)

    def shares(self, *, high: float | None, low: float | None) -> LayerShares:
        """Compare all samples with two bounds; of a bound that is None nothing is beyond."""
        samples = np.full((len(self._rows), len(self.names)), np.nan, dtype=np.float32)
        for place, row in enumerate(self._rows):
            samples[place, : len(row)] = row  # shorter, from before a further optimizer was watched
        samples = samples[:, self.chosen]
        measured = np.isfinite(samples).sum(axis=0) > 0
        samples, count = samples[:, measured], max(len(samples), 1)
        names = [self.names[place] for place in self.chosen]
        return LayerShares(
            layers=[name for name, has_any in zip(names, measured, strict=True) if has_any],
            above=(samples > (np.inf if high is None else high)).sum(axis=0) / count,
            below=(samples < (-np.inf if low is None else low)).sum(axis=0) / count,
        )
